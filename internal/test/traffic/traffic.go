// Package traffic makes messages of the kinds that applications send, for tests
// and benchmarks of compression. The same source of random numbers makes the
// same messages.
package traffic

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// Make returns n messages of f, which is called with their numbers.
func Make(n int, f func(r *rand.Rand, i int) []byte) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	messages := make([][]byte, n)
	for i := range messages {
		messages[i] = f(r, i)
	}
	return messages
}

// Random returns n random bytes.
func Random(r *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

// Letters returns n random letters out of the first few of the alphabet.
func Letters(r *rand.Rand, n, few int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte('a' + r.IntN(few))
	}
	return p
}

var symbols = []string{"BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD", "XRP-USD", "DOT-USD", "LTC-USD", "LINK-USD"}

// Tick is a price tick of about 215 bytes, as an exchange sends them: prices and
// volumes move by little from tick to tick, and the day's opening price and the
// products stay.
func Tick(r *rand.Rand, i int) []byte {
	n := r.IntN(len(symbols))
	opening := float64(20000 + 137*n)
	price := opening + 40*math.Sin(float64(i)/300) + float64(r.IntN(300))/100
	return fmt.Appendf(nil, `{"type":"ticker","sequence":%d,"product_id":"%s","price":"%.2f","open_24h":"%.2f","volume_24h":"%.4f","best_bid":"%.2f","best_ask":"%.2f","side":"%s","time":"2026-03-01T12:%02d:%02d.%03dZ","trade_id":%d}`,
		7000000+i*3+r.IntN(3), symbols[n], price, opening, 5000+float64(n*500)+float64(i)*0.0437, price-0.01, price+0.02,
		[]string{"buy", "sell"}[r.IntN(2)], i/60%60, i%60, r.IntN(1000), 500000+i)
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

// Object is a JSON object of about 1 KiB.
func Object(r *rand.Rand, i int) []byte {
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

// Chat is a JSON chat message of about 200 bytes.
func Chat(r *rand.Rand, i int) []byte {
	return fmt.Appendf(nil, `{"event":"message","room":"room-%d","from":{"id":%d,"nick":"%s"},"ts":%d,"text":"%s"}`,
		r.IntN(5), 1000+r.IntN(50), words[r.IntN(len(words))], 1772000000000+int64(i)*913+int64(r.IntN(900)), sentence(r, 10+r.IntN(25)))
}

// Protobuf is a binary message of about 217 bytes.
func Protobuf(r *rand.Rand, i int) []byte {
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
		varint(5, 1772000000000+uint64(i*1000+r.IntN(1000)))
	}
	text(6, sentence(r, 5))
	return append(p, Random(r, 8)...)
}
