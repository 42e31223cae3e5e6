package wechat_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

const png = "\x89PNG\r\n\x1a\n\x00\x00"

// form keeps the body and the header of the last upload.
type form struct {
	body   string
	length int64
	header http.Header
}

func (f *form) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	f.body, f.length, f.header = string(b), r.ContentLength, r.Header
	io.WriteString(w, `{}`)
}

func TestAnUploadedPartHasAContentType(t *testing.T) {
	f := new(form)
	c := newClient(t, f.ServeHTTP)
	for _, file := range []struct {
		wechat.File
		want string
	}{
		{wechat.File{Name: "cat.jpg"}, "image/jpeg"},
		{wechat.File{Name: "CAT.JPG"}, "image/jpeg"},
		{wechat.File{Name: "a.b/cat"}, "image/png"},
		{wechat.File{Name: "cat.unknown"}, "image/png"},
		{wechat.File{Name: "cat.jpg", ContentType: "image/x-cat"}, "image/x-cat"},
	} {
		file.Content = strings.NewReader(png)
		require.NoError(t, c.Post(t.Context(), "/upload", nil, file.File, nil))
		require.Contains(t, f.body, "\r\nContent-Type: "+file.want+"\r\n", file.Name)
		require.Contains(t, f.body, fmt.Sprintf("; filelength=%d\r\n", len(png)))
		require.EqualValues(t, len(f.body), f.length, "WeChat takes no upload in chunks")
		require.Contains(t, f.header.Get("Content-Type"), "multipart/form-data; boundary=")
	}
	require.NoError(t, c.Post(t.Context(), "/upload", nil, &wechat.File{Name: "noise", Content: strings.NewReader("\x00\x01")}, nil))
	require.Contains(t, f.body, "\r\nContent-Type: application/octet-stream\r\n")
}

func TestNamesOfAnUploadAreEscaped(t *testing.T) {
	f := new(form)
	c := newClient(t, f.ServeHTTP)
	const evil = "a\"; x=\"\\\r\nX-Evil: 1\r\n\r\n.jpg\x00"
	for _, file := range []wechat.File{{Name: evil}, {Name: "a.jpg", Field: evil}, {Name: "a.jpg", Fields: map[string]string{evil: "1"}}} {
		file.Content = strings.NewReader(png)
		require.NoError(t, c.Post(t.Context(), "/upload", nil, file, nil))
		require.Contains(t, f.body, `"a\"; x=\"\\%0D%0AX-Evil: 1%0D%0A%0D%0A.jpg%00"`)
		require.NotContains(t, f.body, "\r\nX-Evil")
	}
	err := c.Post(t.Context(), "/upload", nil, wechat.File{Name: "a.jpg", Content: strings.NewReader("x"), ContentType: "image/png\r\nX-Evil: 1"}, nil)
	require.ErrorContains(t, err, "invalid File.ContentType")
}

func TestAFileWithoutANameIsNotSent(t *testing.T) {
	calls := 0
	c := newClient(t, func(http.ResponseWriter, *http.Request) { calls++ })
	for _, name := range []string{"", " \t"} {
		err := c.Post(t.Context(), "/upload", nil, wechat.File{Name: name, Content: strings.NewReader("x")}, nil)
		require.ErrorContains(t, err, "wechat: POST /upload: read body: File.Name is empty")
	}
	require.ErrorContains(t, c.Post(t.Context(), "/upload", nil, wechat.File{Name: "a.jpg"}, nil), "no content")
	require.Zero(t, calls)
}

func TestAnUploadIsSentWholeAgainAfterARefusedToken(t *testing.T) {
	f, bodies := new(form), []string(nil)
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if len(bodies) == 0 {
			b, _ := io.ReadAll(r.Body)
			bodies = append(bodies, string(b))
			io.WriteString(w, "\ufeff"+`{"errcode":40001}`)
			return
		}
		f.ServeHTTP(w, r)
	})
	c.Tokens = new(tokens)
	file := wechat.File{Name: "cat.png", Content: strings.NewReader(png), Fields: map[string]string{"b": "2", "a": "1"}}
	require.NoError(t, c.Post(t.Context(), "/upload", nil, file, nil))
	require.Equal(t, bodies[0], f.body)
	require.Less(t, strings.Index(f.body, `name="a"`), strings.Index(f.body, `name="b"`))
	require.Less(t, strings.Index(f.body, `name="b"`), strings.Index(f.body, `name="media"; filename="cat.png"`))
}

func TestAnUploadedFileIsDownloadedUnderItsName(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx0123456789abcdef", "secret")
	srv := httptest.NewServer(wx)
	defer srv.Close()
	way := &wechat.Client{BaseURL: srv.URL}
	api := &wechat.Client{BaseURL: srv.URL, Tokens: &token.Manager{AppID: "wx0123456789abcdef", Secret: "secret", Client: way}}
	for name, want := range map[string]string{
		"cat.png": "cat.png", "猫 1.png": "猫 1.png", `a";b\c.png`: "c.png", "a\r\nb.png": "a%0D%0Ab.png", "../../etc/猫.png": "猫.png",
	} {
		var sent struct {
			MediaID string `json:"media_id"`
		}
		query := url.Values{"type": {"image"}}
		require.NoError(t, api.Post(t.Context(), "/cgi-bin/media/upload", query, wechat.File{Name: name, Content: strings.NewReader(png)}, &sent))
		var w bytes.Buffer
		d := wechat.Download{W: &w}
		require.NoError(t, api.Get(t.Context(), "/cgi-bin/media/get", url.Values{"media_id": {sent.MediaID}}, &d))
		require.Equal(t, png, w.String())
		require.Equal(t, wechat.Download{W: &w, Name: want, Type: "image/png"}, d)
	}
}
