package wechat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"path"
	"slices"
	"strings"
)

// File is a body of [Client.Post] that is sent as multipart/form-data, for WeChat's uploads:
//
//	wechat.File{Name: "cat.jpg", Content: f}
type File struct {
	Name    string // WeChat derives the type from its extension
	Content io.Reader

	Field       string            // form field, default "media"
	ContentType string            // default by the extension of Name, else by the first bytes
	Fields      map[string]string // further form fields, such as description
}

const multipartType = "multipart/form-data"

// encode writes the form with the file as its last part.
func (f *File) encode() (body []byte, contentType string, err error) {
	if strings.TrimSpace(f.Name) == "" {
		return nil, "", errors.New("File.Name is empty: want a name such as cat.jpg, which WeChat requires")
	}
	if strings.ContainsFunc(f.ContentType, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, "", fmt.Errorf("invalid File.ContentType %q: want a type such as image/jpeg", f.ContentType)
	}
	content, err := readAll(f.Content, maxRequest)
	if err != nil {
		return nil, "", err
	}
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(f.Fields)) {
		if err := writePart(form, formData(name), "", []byte(f.Fields[name])); err != nil {
			return nil, "", err
		}
	}
	field := f.Field
	if field == "" {
		field = "media"
	}
	disposition := fmt.Sprintf(`%s; filename="%s"; filelength=%d`, formData(field), escapeName(f.Name), len(content))
	if err := writePart(form, disposition, f.contentType(content), content); err != nil {
		return nil, "", err
	}
	if err := form.Close(); err != nil {
		return nil, "", err
	}
	return b.Bytes(), form.FormDataContentType(), nil
}

func (f *File) contentType(content []byte) string {
	if f.ContentType != "" {
		return f.ContentType
	}
	if byEnding := mime.TypeByExtension(path.Ext(f.Name)); byEnding != "" {
		return byEnding
	}
	return http.DetectContentType(content)
}

func writePart(form *multipart.Writer, disposition, contentType string, content []byte) error {
	header := textproto.MIMEHeader{"Content-Disposition": {disposition}}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	part, err := form.CreatePart(header)
	if err != nil {
		return err
	}
	_, err = part.Write(content)
	return err
}

func formData(name string) string { return `form-data; name="` + escapeName(name) + `"` }

// escapeName escapes characters that would end a quoted name or its header.
func escapeName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
