package wechat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"path"
	"path/filepath"
	"strings"

	"github.com/wetoken/wetoken/internal/wirejson"
)

// Download receives the answer of [Client.Get] and [Client.Post] from a call that returns a file, such as
// cgi-bin/media/get:
//
//	d := wechat.Download{W: f}
//	err := api.Get(ctx, "/cgi-bin/media/get", url.Values{"media_id": {id}}, &d)
//
// Some of these calls return JSON for certain files, such as {"video_url":"…"} for a video. An answer with a
// Content-Disposition is a file. An answer without one is a file unless it is a JSON object of up to 8 MiB.
//
// See https://developers.weixin.qq.com/doc/service/api/material/temporary/api_getmedia.html (获取临时素材).
type Download struct {
	W io.Writer // receives the file, up to 64 MiB; after an error it may have a part of it

	// Name is the name of the file according to WeChat, without directories, or "". The sender of the file may have
	// chosen it.
	Name string

	Type string          // Content-Type of the answer
	JSON json.RawMessage // the answer if it is JSON instead of a file
}

func (a answer) readDownload(d *Download) error {
	disposition := a.header.Get("Content-Disposition")
	got := Download{W: d.W, Name: fileName(disposition), Type: a.header.Get("Content-Type")}
	if disposition != "" && a.status/100 == 2 { // the file of a user may look like a refusal
		*d = got
		return a.copyTo(d.W, io.LimitReader(a.body, maxBinary+1))
	}
	r, start, err := a.peekFile()
	if err != nil {
		return err
	}
	file := io.Reader(r)
	if bytes.HasPrefix(wirejson.Clean(start), []byte("{")) {
		b, err := io.ReadAll(io.LimitReader(r, maxJSON+1))
		if err != nil {
			return fmt.Errorf("wechat: %s: read answer: %w", a.op, withoutSecrets(err, a.secrets()))
		}
		if len(b) <= maxJSON && wirejson.Check(b) == nil {
			if err := a.checkRefusal(b); err != nil { // a refusal longer than start
				return err
			}
			got.JSON = wirejson.Clean(b)
			*d = got
			return nil
		}
		file = io.MultiReader(bytes.NewReader(b), r)
	}
	*d = got
	return a.copyTo(d.W, file)
}

// fileName returns the name in a Content-Disposition as a file name without directories, or "".
func fileName(disposition string) string {
	_, params, err := mime.ParseMediaType(disposition)
	name := params["filename"]
	if err != nil {
		name = findName(disposition)
	}
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return -1
		}
		return r
	}, name)
	name = path.Base(strings.TrimSpace(strings.ReplaceAll(name, `\`, "/")))
	if name == "." || !filepath.IsLocal(name) {
		return ""
	}
	return name
}

// findName returns the name in a malformed Content-Disposition, which has blanks or characters beyond ASCII outside
// quotes.
func findName(disposition string) string {
	for param := range strings.SplitSeq(disposition, ";") {
		key, value, ok := strings.Cut(param, "=")
		if ok && strings.EqualFold(strings.TrimSpace(key), "filename") {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}
