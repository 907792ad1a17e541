package deflate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A stream is a sequence of messages of one kind.
type stream struct {
	name     string
	messages [][]byte
}

// streams returns the same streams in every run.
func streams(t testing.TB) []stream {
	return []stream{
		{"ticks", generate(80, tick)},
		{"api", generate(20, apiObject)},
		{"chat", generate(50, chatMessage)},
		{"protobuf", generate(50, protobufMessage)},
		{"random", generate(20, func(r *rand.Rand, i int) []byte { return randomBytes(r, 1+r.IntN(2000)) })},
		{"runs", generate(15, func(r *rand.Rand, i int) []byte {
			return []byte(strings.Repeat(string(rune('a'+r.IntN(3))), 1+r.IntN(3000)))
		})},
		{"words", generate(20, func(r *rand.Rand, i int) []byte { return fewSymbols(r, 1+r.IntN(6000), 1+r.IntN(6)) })},
		{"source", sourceFiles(t)[:8]},
	}
}

// longMessages are longer than a block, and longer than the encoder's buffer.
func longMessages(t testing.TB) [][]byte {
	r := rand.New(rand.NewPCG(3, 4))
	source := bytes.Join(sourceFiles(t), nil)
	mixed := slices.Concat(source[:40000], randomBytes(r, 50000), source[:60000])
	return [][]byte{source[:33000], source[:min(len(source), 150000)], randomBytes(r, 70000), mixed, bytes.Repeat([]byte("ab"), 60000)}
}

func generate(n int, f func(r *rand.Rand, i int) []byte) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	messages := make([][]byte, n)
	for i := range messages {
		messages[i] = f(r, i)
	}
	return messages
}

func randomBytes(r *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

func fewSymbols(r *rand.Rand, n, symbols int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte('a' + r.IntN(symbols))
	}
	return p
}

var symbols = []string{"BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD", "XRP-USD", "DOT-USD", "LTC-USD", "LINK-USD"}

// tick is a price tick of about 215 bytes.
func tick(r *rand.Rand, i int) []byte {
	price := 20000 + r.Float64()*1000
	return fmt.Appendf(nil, `{"type":"ticker","sequence":%d,"product_id":"%s","price":"%.2f","open_24h":"%.2f","volume_24h":"%.4f","best_bid":"%.2f","best_ask":"%.2f","side":"%s","time":"2026-03-01T12:%02d:%02d.%06dZ","trade_id":%d}`,
		7000000+i*3+r.IntN(3), symbols[r.IntN(len(symbols))], price, price*0.98, r.Float64()*9000, price-0.01, price+0.02,
		[]string{"buy", "sell"}[r.IntN(2)], i/60%60, i%60, r.IntN(1000000), 500000+i)
}

var words = strings.Fields(`the of and to in a is that for it as was with be by on not he his but at are this have
	from or had an they which one you were her all she there would their we him been has when who will more no if out so
	said what up its about into than them can only other new some could time these two may then do first any my now such
	like our over man me even most made after also did many before must through back years where much your way well down
	should because each just those people how too little state good very make world still own see men work long get here
	between both life being under never day same another know while last might us great old year off come since against go
	came right used take three connection server message window client socket deploy release review build test failure`)

func sentence(r *rand.Rand, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(words[int(float64(len(words))*r.Float64()*r.Float64())])
	}
	return b.String()
}

// apiObject is a JSON object of about 1 KiB.
func apiObject(r *rand.Rand, i int) []byte {
	type item struct {
		ID    string  `json:"id"`
		SKU   string  `json:"sku"`
		Title string  `json:"title"`
		Count int     `json:"quantity"`
		Price float64 `json:"unit_price"`
	}
	items := make([]item, 3+r.IntN(4))
	for i := range items {
		items[i] = item{fmt.Sprintf("item_%08x", r.Uint32()), fmt.Sprintf("SKU-%05d", r.IntN(99999)), sentence(r, 4), 1 + r.IntN(9), float64(r.IntN(100000)) / 100}
	}
	b, err := json.Marshal(map[string]any{
		"id": fmt.Sprintf("ord_%016x", r.Uint64()), "object": "order", "created_at": 1772000000 + i*17, "status": []string{"pending", "paid", "shipped"}[r.IntN(3)],
		"customer": map[string]any{"id": fmt.Sprintf("cus_%012x", r.Uint64()>>16), "name": sentence(r, 2), "email": sentence(r, 1) + "@example.com", "locale": "en-US"},
		"shipping": map[string]any{"line1": fmt.Sprint(r.IntN(999), " ", sentence(r, 2)), "city": sentence(r, 1), "postal_code": fmt.Sprint(10000 + r.IntN(89999)), "country": "US"},
		"currency": "usd", "items": items, "metadata": map[string]string{"note": sentence(r, 8)},
	})
	if err != nil {
		panic(err)
	}
	return b
}

// chatMessage is a JSON chat message of about 200 bytes.
func chatMessage(r *rand.Rand, i int) []byte {
	return fmt.Appendf(nil, `{"event":"message","room":"room-%d","from":{"id":%d,"nick":"%s"},"ts":%d,"text":"%s"}`,
		r.IntN(5), 1000+r.IntN(50), words[r.IntN(len(words))], 1772000000000+int64(i)*913+int64(r.IntN(900)), sentence(r, 10+r.IntN(25)))
}

// protobufMessage is a binary message of about 217 bytes.
func protobufMessage(r *rand.Rand, i int) []byte {
	var p []byte
	varint := func(field int, v uint64) {
		p = append(p, byte(field<<3))
		for ; v >= 0x80; v >>= 7 {
			p = append(p, byte(v)|0x80)
		}
		p = append(p, byte(v))
	}
	text := func(field int, s string) {
		p = append(p, byte(field<<3|2), byte(len(s)))
		p = append(p, s...)
	}
	varint(1, uint64(90000+i))
	text(2, symbols[r.IntN(len(symbols))])
	for range 6 {
		text(3, fmt.Sprintf("node-%02d.eu-west", r.IntN(20)))
		varint(4, uint64(r.IntN(1<<20)))
		varint(5, uint64(1772000000000+int64(i)*1000+int64(r.IntN(1000))))
	}
	text(6, sentence(r, 5))
	return append(p, randomBytes(r, 8)...)
}

// sourceFiles are the Go files of package wire.
func sourceFiles(t testing.TB) (files [][]byte) {
	names, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		p, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, p)
	}
	if len(files) < 12 {
		t.Fatalf("%d files of Go source, want 12 or more", len(files))
	}
	return files
}
