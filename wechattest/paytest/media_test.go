package paytest_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"mime/multipart"
	"testing"

	"github.com/stretchr/testify/require"
)

const media = "/v3/merchant/media/upload"

// upload sends a file whose meta is as given; signed is what is signed in place of it.
func (c *client) upload(path, meta, signed, file string, content []byte) *result {
	c.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if meta != "" {
		require.NoError(c.t, w.WriteField("meta", meta))
	}
	part, err := w.CreateFormFile("file", file)
	require.NoError(c.t, err)
	_, err = part.Write(content)
	require.NoError(c.t, err)
	require.NoError(c.t, w.Close())
	if signed == "" {
		signed = meta
	}
	r, err := c.send("POST", path, w.FormDataContentType(), b.String(), signed)
	require.NoError(c.t, err)
	return r
}

func TestAnUploadIsSignedByItsMeta(t *testing.T) {
	c := shop(t, newServer(t))
	content := bytes.Repeat([]byte("a"), 1000)
	meta := func(name string, content []byte) string {
		return fmt.Sprintf(`{ "filename": "%s", "sha256": "%x" }`, name, sha256.Sum256(content))
	}
	r := c.upload(media, meta("a.jpg", content), "", "a.jpg", content)
	require.Equal(t, 200, r.status, "%s", r.body)
	require.NoError(t, c.verify(r.header, r.body))
	require.NotEmpty(t, r.text("media_id"))
	require.Equal(t, 200, c.upload("/v3/merchant/media/video_upload", meta("a.mp4", content), "", "a.mp4", content).status)
	require.NotEmpty(t, c.upload("/v3/marketing/favor/media/image-upload", meta("a.png", content), "", "a.png", content).text("media_url"))
	require.NotEmpty(t, c.upload("/v3/merchant-service/images/upload", meta("a.png", content), "", "a.png", content).text("media_id"))

	large := make([]byte, 2<<20+1)
	for name, test := range map[string]struct {
		status int
		r      *result
	}{
		"the file is signed":   {401, c.upload(media, meta("a.jpg", content), string(content), "a.jpg", content)},
		"another file":         {400, c.upload(media, meta("a.jpg", content), "", "a.jpg", content[1:])},
		"another kind":         {400, c.upload(media, meta("a.gif", content), "", "a.gif", content)},
		"no meta":              {401, c.upload(media, "", "x", "a.jpg", content)},
		"meta is no JSON":      {400, c.upload(media, "x", "", "a.jpg", content)},
		"meta without a hash":  {400, c.upload(media, `{"filename":"a.jpg"}`, "", "a.jpg", content)},
		"nothing in the file":  {400, c.upload(media, meta("a.jpg", nil), "", "a.jpg", nil)},
		"more than 2 MiB":      {400, c.upload(media, meta("a.jpg", large), "", "a.jpg", large)},
		"more than is read":    {400, c.upload(media, meta("a.jpg", nil), "", "a.jpg", make([]byte, 7<<20))},
		"2 MiB of a film pass": {200, c.upload("/v3/merchant/media/video_upload", meta("a.mp4", large), "", "a.mp4", large)},
	} {
		require.Equal(t, test.status, test.r.status, name)
	}
	r, err := c.send("POST", media, "application/json", "{}", "{}")
	require.NoError(t, err)
	require.Equal(t, 401, r.status)
}
