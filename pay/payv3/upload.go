package payv3

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"strings"
)

// Upload is a file that [Merchant.Do] sends, to /v3/merchant/media/upload for instance. WeChat takes images (jpg, bmp, png)
// up to 2 MB and videos up to 5 MB.
type Upload struct {
	Name string // of the file, with its extension
	Data []byte
}

// maxUpload is more than WeChat takes.
const maxUpload = 32 << 20

// encode sets the body of r, and the part of it that is signed.
func (u Upload) encode(r *request) error {
	if u.Name == "" || strings.ContainsAny(u.Name, "\"\\\r\n") {
		return fmt.Errorf("Upload.Name is %.80q: want the name of a file without quotes", u.Name)
	}
	if len(u.Data) == 0 || len(u.Data) > maxUpload {
		return fmt.Errorf("Upload.Data has %d bytes: want 1 to %d", len(u.Data), maxUpload)
	}
	sum := sha256.Sum256(u.Data)
	meta, err := encode(struct {
		Name string `json:"filename"`
		Sum  string `json:"sha256"`
	}{u.Name, hex.EncodeToString(sum[:])})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, part := range []struct {
		disposition, contentType string
		content                  []byte
	}{
		{`form-data; name="meta"`, "application/json", meta},
		{`form-data; name="file"; filename="` + u.Name + `"`, contentTypeOf(u.Name), u.Data},
	} {
		w, err := form.CreatePart(textproto.MIMEHeader{"Content-Disposition": {part.disposition}, "Content-Type": {part.contentType}})
		if err != nil {
			return err
		}
		if _, err := w.Write(part.content); err != nil {
			return err
		}
	}
	if err := form.Close(); err != nil {
		return err
	}
	r.body, r.meta, r.contentType = b.Bytes(), meta, form.FormDataContentType()
	return nil
}

// contentTypeOf returns the type of the files that WeChat takes.
func contentTypeOf(name string) string {
	_, extension, _ := strings.Cut(name[max(0, strings.LastIndexByte(name, '.')):], ".")
	switch strings.ToLower(extension) {
	case "jpg", "jpeg":
		return "image/jpeg"
	case "png":
		return "image/png"
	case "bmp":
		return "image/bmp"
	case "mp4":
		return "video/mp4"
	}
	return "application/octet-stream"
}
