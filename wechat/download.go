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

// Download is an out of [Client.Get] and [Client.Post] for a call that answers a file, such as cgi-bin/media/get:
//
//	d := wechat.Download{W: f}
//	err := api.Get(ctx, "/cgi-bin/media/get", url.Values{"media_id": {id}}, &d)
//
// Some of these calls answer JSON for certain files, such as {"video_url":"…"} for a video. An answer is a file if it
// has a Content-Disposition; without one it is a file unless it is a JSON object of up to 8 MiB.
//
// See https://developers.weixin.qq.com/doc/service/api/material/temporary/api_getmedia.html (获取临时素材).
type Download struct {
	W io.Writer // takes the file, up to 64 MiB of it; an error may leave a part of it there

	// Name is the name that WeChat gives the file, without directories, or "" if it gives none. The file's sender may
	// have chosen it.
	Name string
	Type string          // Content-Type of the answer
	JSON json.RawMessage // the answer if it is JSON in place of a file; W then takes nothing
}

func (a answer) download(d *Download) error {
	disposition := a.header.Get("Content-Disposition")
	got := Download{W: d.W, Name: fileName(disposition), Type: a.header.Get("Content-Type")}
	if disposition != "" && a.status/100 == 2 { // a user's file may look like a refusal
		*d = got
		return a.copyTo(d.W, io.LimitReader(a.body, maxBinary+1))
	}
	r, start, err := a.start()
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
			if err := a.check(b); err != nil { // a refusal that is longer than start
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
		name = looseName(disposition)
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

// looseName finds the name in a Content-Disposition that is not well-formed: one with blanks or characters beyond
// ASCII outside quotes.
func looseName(disposition string) string {
	for param := range strings.SplitSeq(disposition, ";") {
		key, value, ok := strings.Cut(param, "=")
		if ok && strings.EqualFold(strings.TrimSpace(key), "filename") {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}
