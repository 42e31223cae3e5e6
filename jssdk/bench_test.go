package jssdk_test

import (
	"crypto/sha1"
	"encoding/hex"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/bench"
	"github.com/wetoken/wetoken/jssdk"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

const (
	benchTicket = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
	benchNonce  = "Wm3WZYTPz0wzccnW"
	benchPage   = "https://shop.example.com/goods/list.html?category=12&page=3&from=singlemessage"
)

// plainSignature is a simple implementation: join, hash, encode.
func plainSignature() string {
	digest := sha1.Sum([]byte("jsapi_ticket=" + benchTicket + "&noncestr=" + benchNonce + "&timestamp=" + strconv.FormatInt(at, 10) + "&url=" + page))
	return hex.EncodeToString(digest[:])
}

// leanSignature is the same without needless allocations.
func leanSignature() string {
	var space [512]byte
	b := append(space[:0], "jsapi_ticket="+benchTicket+"&noncestr="+benchNonce+"&timestamp="...)
	b = append(strconv.AppendInt(b, at, 10), "&url="...)
	digest := sha1.Sum(append(b, page...))
	var text [2 * sha1.Size]byte
	hex.Encode(text[:], digest[:])
	return string(text[:])
}

var (
	at   int64 = 1414587457
	page       = benchPage
	sink string
)

// repeat calls do n times.
func repeat(do func() string) func(n int) {
	return func(n int) {
		for range n {
			sink = do()
		}
	}
}

// BenchmarkSign measures a signature, and BenchmarkConfig a whole wx.config, beside both floors.
func BenchmarkSign(b *testing.B) {
	sign := repeat(func() string { return jssdk.Sign(benchTicket, benchNonce, at, page) })
	b.Run("plain", func(b *testing.B) { bench.Ratio(b, 1, repeat(plainSignature), sign) })
	b.Run("least", func(b *testing.B) { bench.Ratio(b, 1, repeat(leanSignature), sign) })
}

func BenchmarkConfig(b *testing.B) {
	s, ctx := newKeptSigner(b), b.Context()
	config := repeat(func() string {
		c, err := s.Config(ctx, page)
		if err != nil {
			b.Error(err)
		}
		return c.Signature
	})
	b.Run("plain", func(b *testing.B) { bench.Ratio(b, 1, repeat(plainSignature), config) })
	b.Run("least", func(b *testing.B) { bench.Ratio(b, 1, repeat(leanSignature), config) })
}

// A Remote is a Source too.
var _ jssdk.Source = (*ticket.Remote)(nil)

// newKeptSigner returns a signer whose ticket is kept as in an application.
func newKeptSigner(t testing.TB) *jssdk.Signer {
	wx := new(wechattest.Server)
	wx.AddApp("wx0123456789abcdef", "secret")
	way := &wechat.Client{HTTP: wx.Client()}
	tokens := &token.Manager{AppID: "wx0123456789abcdef", Secret: "secret", Client: way}
	s := official()
	s.Tickets = &ticket.Manager{AppID: s.AppID, Tokens: tokens, Client: way}
	_, err := s.Config(t.Context(), page) // fetches the ticket
	require.NoError(t, err)
	return s
}

func TestASignatureMakesAtMostTwoAllocations(t *testing.T) {
	require.Equal(t, plainSignature(), leanSignature())
	require.Equal(t, plainSignature(), jssdk.Sign(benchTicket, benchNonce, at, page))
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { sink = jssdk.Sign(benchTicket, benchNonce, at, page) }), 2.0)
}

func TestAConfigMakesAtMostFourAllocations(t *testing.T) {
	s, ctx := newKeptSigner(t), t.Context()
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		c, err := s.Config(ctx, page)
		if err != nil {
			t.Error(err)
		}
		sink = c.Signature
	}), 4.0) // with the race detector; 3 without
}
