package permessage

import (
	"runtime"
	"sync"
	"weak"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire/deflate"
)

// This file enforces Deflate.MemoryBudget. A sender can forget its window at
// any time: its next message is larger, and the peer notices nothing. A
// receiver cannot, because the peer may refer to it.

// Stats are statistics of a Deflate with a MemoryBudget.
type Stats struct {
	Windows   int64  // bytes of all windows
	Forgotten uint64 // windows of senders that were forgotten
	Declined  uint64 // connections that were opened without compression
}

// Stats returns the statistics since the first use, zero without MemoryBudget.
func (o *Deflate) Stats() Stats {
	b := &o.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stats
}

// decline reports whether a new connection must do without compression. It
// counts that.
func (o *Deflate) decline() bool {
	if o.MemoryBudget <= 0 {
		return false
	}
	b := &o.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stats.Windows < o.MemoryBudget {
		return false
	}
	b.stats.Declined++
	return true
}

// budget is the memory of the windows of a Deflate.
type budget struct {
	mu    sync.Mutex // guards the rest, and the accounts
	stats Stats

	// The accounts of senders with windows, by their last use.
	oldest, newest *account
}

// account is the memory of one window. It does not keep its owner alive: the
// garbage collector closes it.
type account struct {
	size         int64
	sender       weak.Pointer[compressor] // nil for a receiver
	older, newer *account                 // in the list of the budget, if size > 0
}

// set sets the size of a. The caller has locked mu.
func (b *budget) set(a *account, size int64) {
	b.stats.Windows += size - a.size
	a.size = size
}

// unlink removes a from the list, if it is in there. The caller has locked mu.
func (b *budget) unlink(a *account) {
	switch {
	case a.older != nil:
		a.older.newer = a.newer
	case b.oldest == a:
		b.oldest = a.newer
	}
	switch {
	case a.newer != nil:
		a.newer.older = a.older
	case b.newest == a:
		b.newest = a.older
	}
	a.older, a.newer = nil, nil
}

// use makes a the newest account in the list. The caller has locked mu.
func (b *budget) use(a *account) {
	if b.newest == a {
		return
	}
	b.unlink(a)
	if a.older = b.newest; a.older != nil {
		a.older.newer = a
	} else {
		b.oldest = a
	}
	b.newest = a
}

// forget makes senders forget their windows, the one that was used longest ago
// first, until all windows have at most limit bytes. It passes over senders
// that compress at the moment, and ends with last, whose lock the caller has.
// The caller has locked mu too.
func (b *budget) forget(limit int64, last *compressor) {
	for a := b.oldest; a != nil && b.stats.Windows > limit; {
		next := a.newer
		c := a.sender.Value()
		if c != nil && (c == last || c.mu.TryLock()) {
			c.codec.Forget()
			b.set(a, 0)
			b.unlink(a)
			b.stats.Forgotten++
			if c != last {
				c.mu.Unlock()
			}
		}
		a = next
	}
}

// close ends an account whose owner is garbage.
func (b *budget) close(a *account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(a, 0)
	b.unlink(a)
}

// budgetCoder is an endpoint.Coder with accounts.
type budgetCoder struct {
	*compressor
	*decompressor
}

func newBudgetCoder(o *Deflate, out deflate.CompressorOptions, in deflate.DecompressorOptions) endpoint.Coder {
	return budgetCoder{newCompressor(o, out), newDecompressor(o, in)}
}

// compressor is an endpoint.Compressor with an account.
type compressor struct {
	owner   *Deflate
	account *account

	mu    sync.Mutex // locked before the budget's, except by TryLock
	codec deflate.Compressor
}

func newCompressor(o *Deflate, opts deflate.CompressorOptions) *compressor {
	c := &compressor{owner: o, account: new(account)}
	c.codec.Init(opts)
	c.account.sender = weak.Make(c)
	runtime.AddCleanup(c, o.budget.close, c.account)
	return c
}

// charge notes the size of the window and enforces the budget. The caller has
// locked mu.
func (c *compressor) charge() {
	b := &c.owner.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	size := int64(c.codec.Size())
	if size == 0 && c.account.size == 0 {
		return
	}
	b.set(c.account, size)
	b.use(c.account)
	b.forget(c.owner.MemoryBudget, c)
}

// AppendMessage implements endpoint.Compressor.
func (c *compressor) AppendMessage(dst, p []byte) (out []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out, ok = c.codec.AppendMessage(dst, p)
	c.charge()
	return out, ok
}

// AppendFragment implements endpoint.Compressor.
func (c *compressor) AppendFragment(dst, p []byte, final bool) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	dst = c.codec.AppendFragment(dst, p, final)
	c.charge()
	return dst
}

// AddPlain implements endpoint.Compressor.
func (c *compressor) AddPlain(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.codec.Size() > 0 { // see coder.AddPlain
		c.codec.AddPlain(p)
		c.charge()
	}
}

// decompressor is an endpoint.Decompressor with an account.
type decompressor struct {
	deflate.Decompressor
	owner   *Deflate
	account *account
	size    int64 // that of account
}

func newDecompressor(o *Deflate, opts deflate.DecompressorOptions) *decompressor {
	d := &decompressor{owner: o, account: new(account)}
	d.Init(opts)
	runtime.AddCleanup(d, o.budget.close, d.account)
	return d
}

// Append implements endpoint.Decompressor.
func (d *decompressor) Append(dst, src []byte, final bool, limit int) (out []byte, n int, err error) {
	out, n, err = d.Decompressor.Append(dst, src, final, limit)
	d.charge()
	return out, n, err
}

// Park implements endpoint.Decompressor.
func (d *decompressor) Park() {
	d.Decompressor.Park()
	d.charge()
}

func (d *decompressor) charge() {
	size := int64(d.Size())
	if size == d.size {
		return
	}
	d.size = size
	b := &d.owner.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(d.account, size)
	b.forget(d.owner.MemoryBudget, nil)
}
