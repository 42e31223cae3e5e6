package wechattest

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mediaStore holds the temporary media of all apps, up to a limit. It drops the oldest first.
type mediaStore struct {
	items []*mediaItem
	size  int
}

type mediaItem struct {
	id, owner  string
	name, kind string // file name and Content-Type
	data       []byte
	expires    time.Time
}

const (
	mediaLife    = 3 * 24 * time.Hour
	maxMediaSize = 64 << 20
)

// weight returns the size of an item in the store, with overhead.
func (item *mediaItem) weight() int { return len(item.data) + 1<<10 }

func mediaRoutes() []route {
	get, post := http.MethodGet, http.MethodPost
	return []route{
		{path: "/cgi-bin/media/upload", on: apiHost, method: post, body: formBody, plain: true, serve: (*Server).mediaUpload},
		{path: "/cgi-bin/media/upload", on: workHost, method: post, body: formBody, serve: (*Server).workUpload},
		{path: "/cgi-bin/media/get", on: apiHost, method: get, plain: true, serve: (*Server).mediaGet},
		{path: "/cgi-bin/media/get", on: workHost, method: get, serve: (*Server).mediaGet},
	}
}

func (s *Server) mediaUpload(c *call) reply {
	kind := c.query.Get("type")
	if !slices.Contains([]string{"image", "voice", "video", "thumb"}, kind) {
		return c.refuse(40004)
	}
	item := c.form().files["media"]
	if item == nil {
		return c.refuse(41005)
	}
	s.keepMedia(c, item)
	body := fields{"type": kind, "media_id": item.id, "created_at": c.now.Unix()}
	if kind == "thumb" {
		body["thumb_media_id"] = item.id
		delete(body, "media_id")
	}
	return c.ok(body)
}

// workUpload replies with created_at as text. The media belong to the corp: each of its applications may get them.
func (s *Server) workUpload(c *call) reply {
	var formats []string
	limit, tooLarge := 10<<20, 40006
	switch kind := c.query.Get("type"); kind {
	case "image":
		formats, tooLarge = []string{"jpg", "jpeg", "png"}, 40009
	case "voice":
		formats, limit = []string{"amr"}, 2<<20
	case "video":
		formats, tooLarge = []string{"mp4"}, 40011
	case "file":
		limit = maxFile
	default:
		return c.refuseAs(40005, "invalid type")
	}
	item := c.form().files["media"]
	switch {
	case item == nil:
		return c.refuse(41005)
	case len(item.data) <= 5:
		return c.refuse(40006)
	case formats != nil && !item.isOneOf(formats...):
		return c.refuse(40004)
	case len(item.data) > limit:
		return c.refuse(tooLarge)
	}
	s.keepMedia(c, item)
	return c.done(fields{"type": c.query.Get("type"), "media_id": item.id, "created_at": strconv.FormatInt(c.now.Unix(), 10)})
}

func (s *Server) keepMedia(c *call, item *mediaItem) {
	item.id, item.owner, item.expires = newID("media", 64), c.app.ID, c.now.Add(mediaLife)
	s.media.put(item)
}

func (s *Server) mediaGet(c *call) reply {
	item := s.media.get(c.query.Get("media_id"), c.app.ID, c.now)
	if item == nil {
		return c.refuse(40007)
	}
	return reply{body: item.data, header: http.Header{
		"Content-Type":        {item.kind},
		"Content-Disposition": {mime.FormatMediaType("attachment", map[string]string{"filename": item.name})},
	}}
}

// form is a body of multipart/form-data.
type form struct {
	files  map[string]*mediaItem // parts with a file name, and something in them
	values map[string]string
}

// form parses the body. It is empty if the body has another type. The first of several parts with the same name counts.
func (c *call) form() form {
	read := form{make(map[string]*mediaItem), make(map[string]string)}
	_, params, err := mime.ParseMediaType(c.kind)
	if err != nil || params["boundary"] == "" {
		return read
	}
	parts := multipart.NewReader(bytes.NewReader(c.body), params["boundary"])
	for {
		part, err := parts.NextPart()
		if err != nil {
			return read
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return read
		}
		name := part.FormName()
		if part.FileName() == "" {
			if _, ok := read.values[name]; !ok {
				read.values[name] = string(data)
			}
			continue
		}
		if len(data) == 0 || read.files[name] != nil {
			continue
		}
		kind := part.Header.Get("Content-Type")
		if kind == "" || kind == "application/octet-stream" {
			kind = http.DetectContentType(data)
		}
		read.files[name] = &mediaItem{name: part.FileName(), kind: kind, data: data}
	}
}

// isOneOf reports whether a file has one of the formats, by the extension of its name or by its content.
func (item *mediaItem) isOneOf(formats ...string) bool {
	if slices.Contains(formats, strings.ToLower(strings.TrimPrefix(path.Ext(item.name), "."))) {
		return true
	}
	_, format, _ := strings.Cut(http.DetectContentType(item.data), "/")
	return slices.Contains(formats, format)
}

func (m *mediaStore) put(item *mediaItem) {
	m.items = append(m.items, item)
	m.size += item.weight()
	for m.size > maxMediaSize {
		m.size -= m.items[0].weight()
		m.items[0] = nil
		m.items = m.items[1:]
	}
}

func (m *mediaStore) get(id, owner string, now time.Time) *mediaItem {
	for _, item := range m.items {
		if item.id == id && item.owner == owner && now.Before(item.expires) {
			return item
		}
	}
	return nil
}
