package jssdk_test

import (
	"crypto/sha1"
	"encoding/hex"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/jssdk"
)

const (
	benchTicket = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
	benchNonce  = "Wm3WZYTPz0wzccnW"
	benchPage   = "https://shop.example.com/goods/list.html?category=12&page=3&from=singlemessage"
)

// floor is the least that a signature costs: put together, hashed, written out.
func floor() string {
	digest := sha1.Sum([]byte("jsapi_ticket=" + benchTicket + "&noncestr=" + benchNonce + "&timestamp=" + strconv.FormatInt(at, 10) + "&url=" + page))
	return hex.EncodeToString(digest[:])
}

var (
	at   int64 = 1414587457
	page       = benchPage
	sink string
)

func BenchmarkFloor(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		sink = floor()
	}
}

func BenchmarkSign(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		sink = jssdk.Sign(benchTicket, benchNonce, at, page)
	}
}

func BenchmarkConfig(b *testing.B) {
	s := official()
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		c, err := s.Config(ctx, page)
		if err != nil {
			b.Fatal(err)
		}
		sink = c.Signature
	}
}

func TestASignatureMakesAtMostTwoAllocations(t *testing.T) {
	require.Equal(t, floor(), jssdk.Sign(benchTicket, benchNonce, at, page))
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { sink = jssdk.Sign(benchTicket, benchNonce, at, page) }), 2.0)
}

func TestAConfigMakesAtMostFourAllocations(t *testing.T) {
	s := official()
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		c, err := s.Config(t.Context(), page)
		if err != nil {
			t.Error(err)
		}
		sink = c.Signature
	}), 4.0)
}
