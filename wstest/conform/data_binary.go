package conform

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

const (
	pictureSide = 512
	// pictureHead is the length of a bitmap's two headers and its palette.
	pictureHead  = 14 + 40 + 4*256
	documentSize = 1042328
)

// makePicture makes a bitmap of 512 by 512 points in 256 shades of grey: discs
// in front of clouds, with some grain, as a photograph has.
func makePicture() []byte {
	const size = pictureHead + pictureSide*pictureSide
	b := make([]byte, 0, size)
	le := binary.LittleEndian
	b = append(b, "BM"...)
	for _, v := range []uint32{size, 0, pictureHead, 40, pictureSide, pictureSide, 8<<16 | 1, 0, pictureSide * pictureSide, 2835, 2835, 256, 0} {
		b = le.AppendUint32(b, v)
	}
	for shade := range 256 {
		b = append(b, byte(shade), byte(shade), byte(shade), 0)
	}
	r := rand.New(rand.NewPCG(4, 4))
	type disc struct{ x, y, radius, shade int }
	discs := make([]disc, 12)
	for i := range discs {
		discs[i] = disc{r.IntN(pictureSide), r.IntN(pictureSide), 20 + r.IntN(90), 40 + r.IntN(120)}
	}
	coarse, fine := newClouds(r, 64), newClouds(r, 16)
	for y := range pictureSide {
		for x := range pictureSide {
			shade := y/8 + coarse.at(x, y)*3/5 + fine.at(x, y)/5
			for _, d := range discs {
				if far := (x-d.x)*(x-d.x) + (y-d.y)*(y-d.y); far < d.radius*d.radius {
					shade = (shade + 3*d.shade + 60 - 60*far/(d.radius*d.radius)) / 4
				}
			}
			shade += r.IntN(5) - 2
			b = append(b, byte(min(max(shade, 0), 255)))
		}
	}
	return b
}

// clouds are random shades on a lattice, interpolated between its points.
type clouds struct {
	step   int // between the points of the lattice
	wide   int // the number of points in a line of the lattice
	shades []int
}

func newClouds(r *rand.Rand, step int) *clouds {
	c := &clouds{step: step, wide: pictureSide/step + 1}
	for range c.wide * c.wide {
		c.shades = append(c.shades, r.IntN(256))
	}
	return c
}

// at returns the shade of a point of the picture.
func (c *clouds) at(x, y int) int {
	i := y/c.step*c.wide + x/c.step
	right, down := x%c.step, y%c.step
	left, up := c.step-right, c.step-down
	sum := up*(left*c.shades[i]+right*c.shades[i+1]) + down*(left*c.shades[i+c.wide]+right*c.shades[i+c.wide+1])
	return sum / (c.step * c.step)
}

// makeDocument makes a PDF file, mostly of streams that cannot be compressed.
func makeDocument() []byte {
	r := rand.New(rand.NewPCG(5, 5))
	d := &document{}
	d.b.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	d.object("<< /Type /Catalog /Pages 2 0 R >>", nil)
	d.object("<< /Type /Pages /Kids [] /Count 0 >>", nil)
	for d.b.Len() < documentSize-30000 {
		d.object("", noise(r, 4000+r.IntN(8000)))
	}
	// The last stream fills the file up to its length. The length of the stream
	// has five digits.
	rest := document{offsets: d.offsets}
	rest.object("", make([]byte, 10000))
	rest.end(d.b.Len())
	d.object("", noise(r, documentSize-d.b.Len()-rest.b.Len()+10000))
	d.end(0)
	return d.b.Bytes()
}

// noise returns n random bytes.
func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// document is a PDF file that is being written.
type document struct {
	b       bytes.Buffer
	offsets []int // of the objects, the first is object 1
}

// object writes the next object: a dictionary, or a stream.
func (d *document) object(dictionary string, stream []byte) {
	d.offsets = append(d.offsets[:len(d.offsets):len(d.offsets)], d.b.Len())
	fmt.Fprintf(&d.b, "%d 0 obj\n", len(d.offsets))
	if stream == nil {
		d.b.WriteString(dictionary)
	} else {
		fmt.Fprintf(&d.b, "<< /Type /EmbeddedFile /Length %d >>\nstream\n", len(stream))
		d.b.Write(stream)
		d.b.WriteString("\nendstream")
	}
	d.b.WriteString("\nendobj\n")
}

// end writes the table of objects and the trailer. before is the number of
// bytes before the buffer.
func (d *document) end(before int) {
	table := before + d.b.Len()
	fmt.Fprintf(&d.b, "xref\n0 %d\n0000000000 65535 f \n", len(d.offsets)+1)
	for _, at := range d.offsets {
		fmt.Fprintf(&d.b, "%010d 00000 n \n", at)
	}
	fmt.Fprintf(&d.b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(d.offsets)+1, table)
}
