package browser_test

import (
	"bytes"
	"image"
	_ "image/png"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/webdriver"
)

// scan returns the text of the QR code in an image.
func scan(t *testing.T, picture []byte) string {
	t.Helper()
	img, _, err := image.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	bits, err := gozxing.NewBinaryBitmapFromImage(img)
	require.NoError(t, err)
	code, err := qrcode.NewQRCodeReader().Decode(bits, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
	require.NoError(t, err)
	return code.GetText()
}

// requireFits fails unless a page fits a phone 360 pixels wide.
func requireFits(t *testing.T, b *webdriver.Tab) {
	t.Helper()
	var wide float64
	b.Run("return document.documentElement.scrollWidth", &wide)
	require.LessOrEqual(t, wide, 360.0)
}
