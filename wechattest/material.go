package wechattest

import (
	"encoding/json"
	"net/http"
)

func materialRoutes() []route {
	post := http.MethodPost
	return []route{
		{path: "/cgi-bin/media/uploadimg", on: apiHost, method: post, body: formBody, plain: true, serve: (*Server).uploadImage},
		{path: "/cgi-bin/media/uploadimg", on: workHost, method: post, body: formBody, serve: (*Server).workUploadImage},
		{path: "/cgi-bin/material/add_material", on: apiHost, method: post, body: formBody, kinds: []Kind{Official}, plain: true, serve: (*Server).addMaterial},
	}
}

// uploadImage replies with a URL for a picture, for articles and cards. WeChat's page on cards calls the part buffer. The
// picture is not kept.
func (s *Server) uploadImage(c *call) reply {
	f := c.form()
	item := f.files["media"]
	if item == nil {
		item = f.files["buffer"]
	}
	switch {
	case item == nil:
		return c.refuse(41005)
	case !item.isOneOf("jpg", "jpeg", "png"):
		return c.refuse(40005)
	case len(item.data) >= 1<<20:
		return c.refuse(40009)
	}
	return c.ok(fields{"url": imageURL("http://mmbiz.qpic.cn/mmbiz_jpg/")})
}

// workUploadImage accepts the part under any name, as WeCom's page says.
func (s *Server) workUploadImage(c *call) reply {
	var item *mediaItem
	for _, file := range c.form().files {
		item = file
	}
	switch {
	case item == nil:
		return c.refuse(41005)
	case !item.isOneOf("jpg", "jpeg", "png"):
		return c.refuse(40004)
	case len(item.data) <= 5 || len(item.data) > 2<<20:
		return c.refuse(40009)
	}
	return c.done(fields{"url": imageURL("https://p.qpic.cn/pic_wework/")})
}

func imageURL(base string) string {
	return base + newID("image", 64) + "/0"
}

// addMaterial accepts permanent material and replies with its id. The material is not kept. A video needs a description.
func (s *Server) addMaterial(c *call) reply {
	var formats []string
	limit := maxMedia
	kind := c.query.Get("type")
	switch kind {
	case "image":
		formats = []string{"bmp", "png", "jpeg", "jpg", "gif"}
	case "voice":
		formats, limit = []string{"mp3", "wma", "wav", "amr"}, 2<<20
	case "video":
		formats = []string{"mp4"}
	case "thumb":
		formats, limit = []string{"jpg", "jpeg"}, 64<<10
	default:
		return c.refuse(40004)
	}
	f := c.form()
	item := f.files["media"]
	switch {
	case item == nil:
		return c.refuse(41005)
	case !item.isOneOf(formats...):
		return c.refuse(40005)
	case len(item.data) > limit:
		return c.refuse(40006)
	}
	var description map[string]json.RawMessage
	if kind == "video" && (json.Unmarshal([]byte(f.values["description"]), &description) != nil || description == nil) {
		return c.refuse(47001)
	}
	body := fields{"media_id": newID("material", 64), "item": []string{}}
	if kind == "image" {
		body["url"] = imageURL("http://mmbiz.qpic.cn/mmbiz_jpg/")
	}
	return c.ok(body)
}
