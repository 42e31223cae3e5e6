package wechattest

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"time"
)

// mediaShelf holds the temporary media of all apps. It drops the oldest rather than grow for ever.
type mediaShelf struct {
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
	mediaLife = 3 * 24 * time.Hour
	shelfSize = 64 << 20
)

// weight is what an item takes of the shelf: a tiny one is not free either.
func (item *mediaItem) weight() int { return len(item.data) + 1<<10 }

func mediaRoutes() []route {
	return []route{
		{path: "/cgi-bin/media/upload", on: apiHost, method: http.MethodPost, body: formBody, plain: true, serve: (*Server).mediaUpload},
		{path: "/cgi-bin/media/get", on: apiHost, method: http.MethodGet, plain: true, serve: (*Server).mediaGet},
	}
}

func (s *Server) mediaUpload(c *call) reply {
	kind := c.query.Get("type")
	if !slices.Contains([]string{"image", "voice", "video", "thumb"}, kind) {
		return c.refuse(40004)
	}
	item := c.file("media")
	if item == nil {
		return c.refuse(41005)
	}
	item.id, item.owner, item.expires = mark("media", 64), c.app.ID, c.now.Add(mediaLife)
	s.media.put(item)
	return c.ok(fields{"type": kind, "media_id": item.id, "created_at": c.now.Unix()})
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

// file reads the part of a form that is a file: one with a file name. nil when there is none.
func (c *call) file(name string) *mediaItem {
	_, params, err := mime.ParseMediaType(c.kind)
	if err != nil || params["boundary"] == "" {
		return nil
	}
	form := multipart.NewReader(bytes.NewReader(c.body), params["boundary"])
	for {
		part, err := form.NextPart()
		if err != nil {
			return nil
		}
		if part.FormName() != name || part.FileName() == "" {
			continue
		}
		data, err := io.ReadAll(part)
		if err != nil || len(data) == 0 {
			return nil
		}
		kind := part.Header.Get("Content-Type")
		if kind == "" || kind == "application/octet-stream" {
			kind = http.DetectContentType(data)
		}
		return &mediaItem{name: part.FileName(), kind: kind, data: data}
	}
}

func (m *mediaShelf) put(item *mediaItem) {
	m.items = append(m.items, item)
	m.size += item.weight()
	for m.size > shelfSize {
		m.size -= m.items[0].weight()
		m.items[0] = nil
		m.items = m.items[1:]
	}
}

func (m *mediaShelf) get(id, owner string, now time.Time) *mediaItem {
	for _, item := range m.items {
		if item.id == id && item.owner == owner && now.Before(item.expires) {
			return item
		}
	}
	return nil
}
