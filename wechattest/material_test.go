package wechattest_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

const jpegHead = "\xff\xd8\xff\xe0"

func TestUploadsAreCheckedByWeCom(t *testing.T) {
	wx, _, _, corp := trio(t)
	try := func(path, query, field, name string, size int) int {
		kind, body := upload(t, field, name, "", make([]byte, size))
		return send(t, wx.Client(), http.MethodPost, work+path+"?access_token="+corp+query, kind, body).Code
	}
	for _, c := range []struct {
		query, field, name string
		size, want         int
	}{
		{"&type=image", "media", "a.PNG", 100, 0},
		{"&type=voice", "media", "a.amr", 2 << 20, 0},
		{"&type=video", "media", "a.mp4", 100, 0},
		{"&type=file", "media", "a", 20 << 20, 0},
		{"", "media", "a.png", 100, 40005},
		{"&type=thumb", "media", "a.png", 100, 40005},
		{"&type=image", "file", "a.png", 100, 41005},
		{"&type=image", "media", "", 100, 41005},
		{"&type=image", "media", "a.gif", 100, 40004},
		{"&type=voice", "media", "a.mp3", 100, 40004},
		{"&type=video", "media", "a.avi", 100, 40004},
		{"&type=file", "media", "a.txt", 5, 40006},
		{"&type=image", "media", "a.png", 10<<20 + 1, 40009},
		{"&type=voice", "media", "a.amr", 2<<20 + 1, 40006},
		{"&type=video", "media", "a.mp4", 10<<20 + 1, 40011},
		{"&type=file", "media", "a", 20<<20 + 1, 40006},
		{"&type=file", "media", "a", 21 << 20, 45001},
	} {
		require.Equal(t, c.want, try("/cgi-bin/media/upload", c.query, c.field, c.name, c.size), c)
	}
	require.Zero(t, try("/cgi-bin/media/uploadimg", "", "fieldNameHere", "a.png", 100))
	require.Equal(t, 40009, try("/cgi-bin/media/uploadimg", "", "media", "a.png", 2<<20+1))
	require.Equal(t, 40009, try("/cgi-bin/media/uploadimg", "", "media", "a.png", 5))
	require.Equal(t, 40004, try("/cgi-bin/media/uploadimg", "", "media", "a.gif", 100))
	require.Equal(t, 41005, try("/cgi-bin/media/uploadimg", "", "media", "", 100))
}

func TestPicturesOfArticlesAreChecked(t *testing.T) {
	wx, official, mini, _ := trio(t)
	try := func(token, field, name, data string) answer {
		kind, body := upload(t, field, name, "", []byte(data))
		return send(t, wx.Client(), http.MethodPost, api+"/cgi-bin/media/uploadimg?access_token="+token, kind, body)
	}
	a := try(official, "media", "a.jpg", jpegHead)
	require.Regexp(t, `^\{"url":"http://mmbiz\.qpic\.cn/[^"]+"\}$`, a.Raw)
	require.Equal(t, "text/plain", a.Type)
	require.Zero(t, try(mini, "buffer", "blob", jpegHead).Code, "a card's picture, by its content")
	require.Equal(t, 40005, try(official, "media", "a.gif", "GIF89a").Code)
	require.Equal(t, 41005, try(official, "img_url", "", "https://example.com/a.jpg").Code)
	require.Equal(t, 40009, try(official, "media", "a.jpg", jpegHead+string(make([]byte, 1<<20))).Code)
}

func TestPermanentMaterialIsChecked(t *testing.T) {
	wx, official, mini, _ := trio(t)
	try := func(token, kind, name string, size int, description string) answer {
		var b bytes.Buffer
		form := multipart.NewWriter(&b)
		part, err := form.CreateFormFile("media", name)
		require.NoError(t, err)
		_, err = part.Write(make([]byte, size))
		require.NoError(t, err)
		if description != "" {
			require.NoError(t, form.WriteField("description", description))
		}
		require.NoError(t, form.Close())
		return send(t, wx.Client(), http.MethodPost, api+"/cgi-bin/material/add_material?access_token="+token+"&type="+kind, form.FormDataContentType(), b.String())
	}
	image := try(official, "image", "a.bmp", 10, "")
	require.NotEmpty(t, image.MediaID)
	require.Contains(t, image.Raw, `"url":"http://mmbiz.qpic.cn/`)
	video := try(official, "video", "a.mp4", 10, `{"title":"标题","introduction":"简介"}`)
	require.NotEmpty(t, video.MediaID)
	require.NotContains(t, video.Raw, `"url"`)
	for _, c := range []struct {
		kind, name  string
		size        int
		description string
		want        int
	}{
		{"voice", "a.mp3", 2 << 20, "", 0},
		{"thumb", "a.jpg", 64 << 10, "", 0},
		{"file", "a.jpg", 10, "", 40004},
		{"", "a.jpg", 10, "", 40004},
		{"image", "a.webp", 10, "", 40005},
		{"image", "a", 10, "", 40005},
		{"video", "a.mp4", 10, "", 47001},
		{"video", "a.mp4", 10, "title", 47001},
		{"video", "a.mp4", 10, "null", 47001},
		{"voice", "a.mp3", 2<<20 + 1, "", 40006},
		{"thumb", "a.jpg", 64<<10 + 1, "", 40006},
		{"image", "a.png", 0, "", 41005},
	} {
		require.Equal(t, c.want, try(official, c.kind, c.name, c.size, c.description).Code, c)
	}
	require.Equal(t, 48001, try(mini, "image", "a.png", 10, "").Code)
}

func TestAThumbsIDHasANameOfItsOwn(t *testing.T) {
	wx, official, _, _ := trio(t)
	kind, body := upload(t, "media", "a.jpg", "", []byte(jpegHead))
	a := send(t, wx.Client(), http.MethodPost, api+"/cgi-bin/media/upload?type=thumb&access_token="+official, kind, body)
	require.Contains(t, a.Raw, `"thumb_media_id":"`)
	require.Empty(t, a.MediaID)
}
