package wechattest

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// rewrite writes a JSON reply in one of the ways in which WeChat differs from encoding/json.
func (f *Fault) rewrite(rep reply) reply {
	if !f.BOM && f.Numbers == "" || !json.Valid(bytes.Map(dropControl, rep.body)) {
		return rep
	}
	if f.Numbers != "" {
		rep.body = rewriteNumbers(rep.body, f.Numbers)
	}
	if f.BOM {
		rep.body = append([]byte("\xef\xbb\xbf"), rep.body...)
	}
	return rep
}

// rewriteNumbers writes numbers as text or as floats, except errcode, which WeChat always writes as an integer.
func rewriteNumbers(body []byte, how string) []byte {
	var b bytes.Buffer
	name := ""
	for i := 0; i < len(body); {
		switch end := valueEnd(body, i); {
		case body[i] == '"':
			name = string(body[i+1 : end-1])
			b.Write(body[i:end])
			i = end
		case end > i && name != "errcode":
			number := body[i:end]
			switch {
			case how == "text":
				b.WriteString(strconv.Quote(string(number)))
			case bytes.ContainsAny(number, ".eE"):
				b.Write(number)
			default:
				b.WriteString(string(number) + ".0")
			}
			i = end
		default:
			b.WriteByte(body[i])
			i++
		}
	}
	return b.Bytes()
}

// valueEnd returns the end of the string or number that begins at i, or i if there is none.
func valueEnd(body []byte, i int) int {
	end := i
	switch c := body[i]; {
	case c == '"':
		for end++; body[end] != '"'; end++ {
			if body[end] == '\\' {
				end++
			}
		}
		return end + 1
	case c == '-' || '0' <= c && c <= '9':
		for end < len(body) && bytes.IndexByte([]byte("+-.eE0123456789"), body[end]) >= 0 {
			end++
		}
	}
	return end
}

// dropControl drops control characters, which a reply may contain unescaped.
func dropControl(r rune) rune {
	if r < ' ' {
		return -1
	}
	return r
}
