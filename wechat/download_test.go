package wechat_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechat"
)

// sendFile answers with a body, with or without a Content-Disposition.
func sendFile(disposition, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if disposition != "" {
			w.Header().Set("Content-Disposition", disposition)
		}
		says(contentType, body)(w, r)
	}
}

func TestADownloadHasNameAndType(t *testing.T) {
	for disposition, want := range map[string]string{
		`attachment; filename="MEDIA_ID.jpg"`:                            "MEDIA_ID.jpg",
		`attachment; filename=MEDIA_ID.jpg`:                              "MEDIA_ID.jpg",
		`attachment;filename="a \"b\".jpg"`:                              `a "b".jpg`,
		`attachment; filename*=UTF-8''%E7%8C%AB%201.jpg`:                 "猫 1.jpg",
		`attachment; filename*=utf-8'zh'%E7%8C%AB.jpg`:                   "猫.jpg",
		`attachment; filename="cat.jpg"; filename*=UTF-8''%E7%8C%AB.jpg`: "猫.jpg",
		`attachment; filename*=UTF-8''%E7%8C%AB.jpg; filename="cat.jpg"`: "猫.jpg",
		`attachment; filename="cat.jpg"; filename*=GBK''%C3%A8.jpg`:      "cat.jpg",
		`attachment; filename="猫.jpg"`:                                   "猫.jpg",
		`attachment; filename=猫.jpg`:                                     "猫.jpg",
		`attachment; filename=my cat.jpg`:                                "my cat.jpg",
		`ATTACHMENT; FileName="cat.jpg"`:                                 "cat.jpg",
		`filename="cat.jpg"`:                                             "cat.jpg",
		`attachment; filename="../../etc/passwd"`:                        "passwd",
		`attachment; filename="/etc/passwd"`:                             "passwd",
		`attachment; filename="C:\\dir\\cat.jpg"`:                        "cat.jpg",
		`attachment; filename="C:\dir\cat.jpg"`:                          "cat.jpg",
		`attachment; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd`:            "passwd",
		`attachment; filename*=UTF-8''..%5C..%5Cboot.ini`:                "boot.ini",
		`attachment; filename*=UTF-8''a%00%0d%0ab.jpg`:                   "ab.jpg",
		`attachment; filename=../my cat.jpg`:                             "my cat.jpg",
		`attachment; filename="`:                                         "",
		`attachment; filename=".."`:                                      "",
		`attachment; filename="."`:                                       "",
		`attachment; filename="/"`:                                       "",
		`attachment; filename="a/.."`:                                    "",
		`attachment; filename=""`:                                        "",
		`attachment`:                                                     "",
		`;;;`:                                                            "",
		"attachment; filename=\"\xc3\xa8\xe8.jpg\"":                      "è.jpg",
	} {
		var w bytes.Buffer
		d := wechat.Download{W: &w, Name: "old", JSON: []byte("{}")}
		require.NoError(t, newClient(t, sendFile(disposition, "image/jpeg", "\xff\xd8")).Get(t.Context(), "/x", nil, &d), disposition)
		require.Equal(t, wechat.Download{W: &w, Name: want, Type: "image/jpeg"}, d, disposition)
		require.Equal(t, "\xff\xd8", w.String())
	}
}

func TestJSONInsteadOfAFileIsReturned(t *testing.T) {
	for _, contentType := range []string{"application/json", "text/plain", "video/mp4", ""} {
		var w bytes.Buffer
		d := wechat.Download{W: &w}
		c := newClient(t, says(contentType, "\ufeff {\"video_url\":\"http://vod/1\",\"title\":\"a\x14\"}"))
		require.NoError(t, c.Get(t.Context(), "/x", nil, &d))
		require.Equal(t, `{"video_url":"http://vod/1","title":"a"}`, string(d.JSON))
		require.Zero(t, w.Len())
		require.Empty(t, d.Name)
	}

	long := `{"news_item":["` + strings.Repeat("x", 1<<20) + `"]}` // longer than the part in which a refusal is looked for
	d := wechat.Download{W: new(bytes.Buffer)}
	require.NoError(t, newClient(t, says("", long)).Get(t.Context(), "/x", nil, &d))
	require.Equal(t, long, string(d.JSON))
}

func TestAFileThatLooksLikeJSONIsAFile(t *testing.T) {
	source := new(tokens)
	for _, c := range []struct{ disposition, body string }{
		{`attachment; filename="a.json"`, `{"errcode":40001,"errmsg":"invalid credential"}`}, // a user may send one
		{`attachment; filename="a.json"`, `{"video_url":"x"}`},
		{"", "{\x00\x01 no JSON"},
		{"", "{" + strings.Repeat("\xff", 10<<20)},
		{"", `{"a":"` + strings.Repeat("x", 9<<20) + `"}`},
		{"", `["a"]`},
		{"", ""},
	} {
		client := newClient(t, sendFile(c.disposition, "application/octet-stream", c.body))
		client.Tokens = source
		var w bytes.Buffer
		d := wechat.Download{W: &w}
		require.NoError(t, client.Get(t.Context(), "/x", nil, &d))
		require.Nil(t, d.JSON)
		require.Equal(t, len(c.body), w.Len())
		require.True(t, c.body == w.String())
	}
	require.Zero(t, source.renewed, "a user's file cannot make us renew a token")
}

// fullWriter is a writer without space.
type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, errFull }

var errFull = errors.New("disk full")

func TestALongRefusalInsteadOfAFileIsAnError(t *testing.T) {
	d := wechat.Download{W: io.Discard}
	body := `{"errmsg":"` + strings.Repeat("x", 5000) + `","errcode":40007}`
	require.ErrorIs(t, newClient(t, sendFile("", "", body)).Get(t.Context(), "/x", nil, &d), wechat.Code(40007))
	require.Nil(t, d.JSON)
}

func TestADownloadThatFails(t *testing.T) {
	calls := 0
	counted := newClient(t, func(http.ResponseWriter, *http.Request) { calls++ })
	for _, out := range []*wechat.Download{nil, {}} {
		require.ErrorContains(t, counted.Get(t.Context(), "/x", nil, out), "wechat: GET /x: Download.W is not set")
	}
	require.Zero(t, calls)

	for _, disposition := range []string{"", "attachment"} {
		d := wechat.Download{W: fullWriter{}}
		require.ErrorIs(t, newClient(t, sendFile(disposition, "", "x")).Get(t.Context(), "/x", nil, &d), errFull)
		d = wechat.Download{W: io.Discard}
		failed := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Disposition", disposition)
			w.WriteHeader(http.StatusBadGateway)
		})
		require.ErrorContains(t, failed.Get(t.Context(), "/x", nil, &d), "HTTP status 502")
		endless := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Disposition", disposition)
			io.Copy(w, io.LimitReader(endlessBody{}, 64<<20+1))
		})
		require.ErrorContains(t, endless.Get(t.Context(), "/x", nil, &d), "more than")
	}
	cut := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		io.WriteString(w, `{"video_url":"`+strings.Repeat("x", 5000))
	})
	require.ErrorIs(t, cut.Get(t.Context(), "/x", nil, &wechat.Download{W: io.Discard}), io.ErrUnexpectedEOF)
}

// FuzzDownload checks that the name of a file stays within its directory.
func FuzzDownload(f *testing.F) {
	for _, s := range []string{`attachment; filename="a.jpg"`, `attachment; filename*=UTF-8''..%2fa`, `a; filename=..\..`, `;filename="`, "attachment; filename=\x00/\xff"} {
		f.Add(s)
	}
	disposition := ""
	c := &wechat.Client{HTTP: &http.Client{Transport: trip(func(r *http.Request) (*http.Response, error) {
		h := http.Header{"Content-Disposition": {disposition}}
		return &http.Response{StatusCode: 200, Header: h, Body: io.NopCloser(strings.NewReader("x")), Request: r}, nil
	})}}
	f.Fuzz(func(t *testing.T, s string) {
		disposition = s
		d := wechat.Download{W: io.Discard}
		require.NoError(t, c.Get(t.Context(), "/x", nil, &d))
		require.False(t, strings.ContainsAny(d.Name, "/\\\x00\r\n"), "%q", d.Name)
		require.True(t, d.Name == "" || path.Join("/dir", d.Name) == "/dir/"+d.Name, "%q", d.Name)
	})
}

type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
