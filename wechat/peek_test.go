package wechat_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechat"
)

func TestARefusalIsFoundInACompressedAnswer(t *testing.T) {
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Accept-Encoding"))
		body := `{"errcode":0}`
		if r.URL.Query().Get("access_token") == oldToken {
			body = refusal40001
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, body)
		z.Close()
	}))
	t.Cleanup(s.Close)
	source := new(tokens)
	hc := &http.Client{Transport: &wechat.Transport{Tokens: source, Hosts: []string{strings.TrimPrefix(s.URL, "http://")}}}
	req, err := http.NewRequest("GET", s.URL, nil)
	require.NoError(t, err)
	req.Header.Set("Accept-Encoding", "gzip, br")
	resp, err := hc.Do(req)
	require.Equal(t, `{"errcode":0}`, read(t, resp, err))
	require.Equal(t, []string{"gzip", "gzip"}, asked, "net/http asks for what it can decode")
	require.Empty(t, resp.Header.Get("Content-Encoding"))
	require.Equal(t, 1, source.renewed)
}

func TestAnAnswerIsStreamed(t *testing.T) {
	for _, start := range []string{"\x00file", "text", "[1,"} {
		read := make(chan bool)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, start)
			w.(http.Flusher).Flush()
			<-read // otherwise the test would not end
			io.WriteString(w, "rest")
		}))
		t.Cleanup(s.Close)
		hc := &http.Client{Transport: &wechat.Transport{Tokens: new(tokens), Hosts: []string{strings.TrimPrefix(s.URL, "http://")}}}
		resp, err := hc.Get(s.URL)
		require.NoError(t, err)
		got := make([]byte, len(start))
		_, err = io.ReadFull(resp.Body, got)
		require.NoError(t, err)
		require.Equal(t, start, string(got))
		close(read)
		rest, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "rest", string(rest))
		require.NoError(t, resp.Body.Close())
	}
}

func TestAnIncompleteAnswerFailsForTheCaller(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"errcode":`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(s.Close)
	hc := &http.Client{Transport: &wechat.Transport{Tokens: new(tokens), Hosts: []string{strings.TrimPrefix(s.URL, "http://")}}}
	resp, err := hc.Get(s.URL)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.Equal(t, `{"errcode":`, string(body))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
