package conform

// dataset: placeholder until the generators are written.
type dataset struct {
	name string
	text bool
}

func (d *dataset) messages(size int) func() []byte { return func() []byte { return make([]byte, size) } }
func (d *dataset) bytes() []byte                   { return make([]byte, 194056) }

var (
	jsonData     = &dataset{"JSON", true}
	bitmapData   = &dataset{"a bitmap", false}
	novelData    = &dataset{"prose", false}
	htmlData     = &dataset{"HTML", true}
	documentData = &dataset{"a document", false}
)
