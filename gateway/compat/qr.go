package compat

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"rsc.io/qr"
)

const (
	defaultQRSize = 256  // pixels on a side
	maxQRSize     = 1024 // pixels on a side
	maxQRText     = 1024 // bytes
	quietZone     = 4    // modules that must be white on each side
)

// encodeQR returns a QR code as a PNG image of exactly size by size pixels. The error is for the caller of a route.
func encodeQR(text string, size int) ([]byte, error) {
	if text == "" || len(text) > maxQRText {
		return nil, fmt.Errorf("the text of a QR code: want 1 to %d bytes", maxQRText)
	}
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, fmt.Errorf("the text of a QR code: %w", err)
	}
	least := code.Size + 2*quietZone
	if size < least || size > maxQRSize {
		return nil, fmt.Errorf("size: want %d to %d pixels for this text", least, maxQRSize)
	}
	scale := size / least
	margin := (size - scale*code.Size) / 2
	m := image.NewPaletted(image.Rect(0, 0, size, size), color.Palette{color.White, color.Black})
	for y := range scale * code.Size {
		row := m.Pix[(margin+y)*m.Stride+margin:]
		for x := range scale * code.Size {
			if code.Black(x/scale, y/scale) {
				row[x] = 1
			}
		}
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, m); err != nil {
		return nil, fmt.Errorf("compat: encode a QR code: %w", err)
	}
	return b.Bytes(), nil
}
