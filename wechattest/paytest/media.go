package paytest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path"
	"slices"
	"strings"
)

func mediaRoutes() []*route {
	pictures, films := []string{".jpg", ".jpeg", ".bmp", ".png"}, []string{".avi", ".wmv", ".mpeg", ".mp4", ".mov", ".mkv", ".flv", ".f4v", ".m4v", ".rmvb"}
	upload := func(path, field string, limit int, kinds []string) *route {
		rt := at("POST "+path, func(_ *Server, c *call) answer { return c.upload(field, limit, kinds) })
		rt.upload = true
		return rt
	}
	return []*route{
		upload("/v3/merchant/media/upload", "media_id", 2<<20, pictures),
		upload("/v3/merchant/media/video_upload", "media_id", 5<<20, films),
		upload("/v3/merchant-service/images/upload", "media_id", 2<<20, pictures),
		upload("/v3/marketing/favor/media/image-upload", "media_url", 2<<20, pictures),
	}
}

// upload checks a file against the meta that was signed.
func (c *call) upload(field string, limit int, kinds []string) answer {
	var meta struct {
		Filename string `json:"filename"`
		SHA256   string `json:"sha256"`
	}
	content, name := c.part("file")
	sum := sha256.Sum256(content)
	switch {
	case json.Unmarshal(c.signed, &meta) != nil || meta.Filename == "" || meta.SHA256 == "":
		return refuse("PARAM_ERROR", "meta缺少filename或sha256")
	case len(content) == 0:
		return missing("file")
	case name == "":
		return refuse("PARAM_ERROR", "file缺少filename")
	case !slices.Contains(kinds, strings.ToLower(path.Ext(meta.Filename))):
		return refuse("PARAM_ERROR", "文件格式不支持")
	case len(content) > limit:
		return refuse("PARAM_ERROR", "文件大小超过限制")
	case !strings.EqualFold(meta.SHA256, hex.EncodeToString(sum[:])):
		return refuse("PARAM_ERROR", "文件sha256值与meta中的不一致")
	}
	id := randomText(64)
	if field == "media_url" {
		id = "https://qpic.cn/" + id
	}
	return done(fields{field: id})
}
