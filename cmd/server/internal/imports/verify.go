package imports

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/wechat"
)

const (
	verifiers     = 8 // calls to WeChat at a time
	maxVerifyTime = 20 * time.Second
)

// errWorkIP is WeCom's refusal of this machine's address.
const errWorkIP wechat.Code = 60020

// Verify asks WeChat whether it knows the new apps and merchants with their secrets, and makes those that it refuses conflicts. It
// does not end the tokens that the old system serves.
func (p *Plan) Verify(ctx context.Context) {
	slots := make(chan struct{}, verifiers)
	var all sync.WaitGroup
	for _, step := range p.Steps {
		if step.State != New {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, maxVerifyTime)
			defer cancel()
			if step.merchant != nil {
				step.judgeMerchant(p.registry.Merchants.Verify(ctx, step.merchant.Settings, step.merchant.AppID))
				return
			}
			step.judgeApp(p.registry.Apps.Verify(ctx, step.app.Settings))
		})
	}
	all.Wait()
}

// judgeApp decides on an app by WeChat's answer.
func (s *Step) judgeApp(err error) {
	var refusal *wechat.Error
	switch {
	case err == nil:
		s.Notes = append(s.Notes, "WeChat knows it with this secret")
	case errors.Is(err, wechat.ErrInvalidIP), errors.Is(err, errWorkIP):
		s.Notes = append(s.Notes, "not verified: "+oneLine(err))
	case errors.As(err, &refusal):
		s.conflict(fmt.Sprintf("WeChat refuses it with %d %s", refusal.Code, oneLine(errors.New(refusal.Msg))))
	default:
		s.conflict("cannot be verified: " + oneLine(err))
	}
}

// judgeMerchant decides on a merchant by WeChat's answer.
func (s *Step) judgeMerchant(err error) {
	var refusal *pay.Error
	switch {
	case err == nil:
		s.Notes = append(s.Notes, "WeChat knows it with these keys")
	case errors.As(err, &refusal) && refusal.Code != "":
		s.conflict(fmt.Sprintf("WeChat refuses it with %s %s", refusal.Code, oneLine(errors.New(refusal.Message))))
	default:
		s.conflict("cannot be verified: " + oneLine(err))
	}
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
