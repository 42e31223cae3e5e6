package jssdk

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Card is a card to be added to the user's wallet by wx.addCard.
type Card struct {
	CardID string `json:"cardId"`

	Code                string `json:"code"`                 // the card's own code, where the card was made with such
	OpenID              string `json:"openid"`               // the one user who may take it
	Balance             string `json:"balance"`              // fen in a red-packet card
	FixedBeginTimestamp int64  `json:"fixed_begintimestamp"` // seconds; when the card begins to be valid; not signed
	OuterStr            string `json:"outer_str"`            // comes back with the event of the card's being taken; not signed
}

// SignedCard is one entry of wx.addCard's cardList.
type SignedCard struct {
	CardID  string `json:"cardId"`
	CardExt string `json:"cardExt"` // JSON in a string, as WeChat wants it
}

// AddCard signs a card for wx.addCard (批量添加卡券). WeChat takes each signature once.
func (s *Signer) AddCard(ctx context.Context, c Card) (SignedCard, error) {
	if c.CardID == "" {
		return SignedCard{}, errors.New("jssdk: add card: CardID must be set")
	}
	ticket, err := s.ticket(ctx, "wx_card")
	if err != nil {
		return SignedCard{}, err
	}
	ext := struct {
		Code                string `json:"code,omitempty"`
		OpenID              string `json:"openid,omitempty"`
		Balance             string `json:"balance,omitempty"`
		Timestamp           string `json:"timestamp"`
		NonceStr            string `json:"nonce_str"`
		FixedBeginTimestamp int64  `json:"fixed_begintimestamp,omitempty"`
		OuterStr            string `json:"outer_str,omitempty"`
		Signature           string `json:"signature"`
	}{
		Code: c.Code, OpenID: c.OpenID, Balance: c.Balance, FixedBeginTimestamp: c.FixedBeginTimestamp, OuterStr: c.OuterStr,
		Timestamp: strconv.FormatInt(time.Now().Unix(), 10), NonceStr: letters(),
	}
	ext.Signature = SignCard(ticket, ext.Timestamp, ext.NonceStr, c.CardID, c.Code, c.OpenID, c.Balance)
	b, err := json.Marshal(ext)
	if err != nil {
		return SignedCard{}, fmt.Errorf("jssdk: add card: %w", err)
	}
	return SignedCard{CardID: c.CardID, CardExt: string(b)}, nil
}

// letters returns a random text without digits: WeChat's signature would be right, too, where those at its beginning are
// shown as the balance, and the rest as the nonce.
func letters() string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return r - '0' + 'a'
		}
		return r
	}, rand.Text())
}

// CardChoice says which of the user's cards wx.chooseCard offers; with no field set, all of the app's.
type CardChoice struct {
	ShopID   string `json:"shopId"`   // cards of this shop
	CardType string `json:"cardType"` // cards of this kind, such as GROUPON
	CardID   string `json:"cardId"`   // this card alone
}

// SignedChoice is the argument of wx.chooseCard; the page adds success.
type SignedChoice struct {
	CardChoice
	Timestamp int64  `json:"timestamp"` // seconds
	NonceStr  string `json:"nonceStr"`
	SignType  string `json:"signType"` // always SHA1
	CardSign  string `json:"cardSign"`
}

// ChooseCard signs for wx.chooseCard (拉取适用卡券列表).
func (s *Signer) ChooseCard(ctx context.Context, c CardChoice) (SignedChoice, error) {
	ticket, err := s.ticket(ctx, "wx_card")
	if err != nil {
		return SignedChoice{}, err
	}
	out := SignedChoice{CardChoice: c, Timestamp: time.Now().Unix(), NonceStr: letters(), SignType: "SHA1"}
	out.CardSign = SignCard(ticket, s.AppID, c.ShopID, strconv.FormatInt(out.Timestamp, 10), out.NonceStr, c.CardID, c.CardType)
	return out, nil
}
