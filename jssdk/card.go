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

// Card is a card that wx.addCard adds to the user's wallet.
type Card struct {
	CardID string `json:"cardId"`

	Code                string `json:"code"`                 // code of the card, if it was created with codes of its own
	OpenID              string `json:"openid"`               // the only user who may take the card
	Balance             string `json:"balance"`              // fen in a red-packet card
	FixedBeginTimestamp int64  `json:"fixed_begintimestamp"` // seconds; start of the card's validity; not signed
	OuterStr            string `json:"outer_str"`            // returned with the event when the user takes the card; not signed
}

// SignedCard is an entry of wx.addCard's cardList.
type SignedCard struct {
	CardID  string `json:"cardId"`
	CardExt string `json:"cardExt"` // JSON in a string, as WeChat requires
}

// AddCard signs a card for wx.addCard (批量添加卡券). WeChat accepts each signature once.
func (s *Signer) AddCard(ctx context.Context, c Card) (SignedCard, error) {
	if c.CardID == "" {
		return SignedCard{}, errors.New("jssdk: add card: CardID must be set")
	}
	ticket, err := s.readTicket(ctx, "wx_card")
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
		Timestamp: strconv.FormatInt(time.Now().Unix(), 10), NonceStr: randomLetters(),
	}
	ext.Signature = SignCard(ticket, ext.Timestamp, ext.NonceStr, c.CardID, c.Code, c.OpenID, c.Balance)
	b, err := json.Marshal(ext)
	if err != nil {
		return SignedCard{}, fmt.Errorf("jssdk: add card: %w", err)
	}
	return SignedCard{CardID: c.CardID, CardExt: string(b)}, nil
}

// randomLetters returns a random nonce without digits. Leading digits could be presented to WeChat as the balance, and
// the rest as the nonce, under the same signature.
func randomLetters() string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return r - '0' + 'a'
		}
		return r
	}, rand.Text())
}

// CardChoice selects the user's cards that wx.chooseCard offers. Without a field it offers all of the app's.
type CardChoice struct {
	ShopID   string `json:"shopId"`   // cards of this shop
	CardType string `json:"cardType"` // cards of this kind, such as GROUPON
	CardID   string `json:"cardId"`   // this card only
}

// SignedChoice is the argument of wx.chooseCard. The page adds success.
type SignedChoice struct {
	CardChoice
	Timestamp int64  `json:"timestamp"` // seconds
	NonceStr  string `json:"nonceStr"`
	SignType  string `json:"signType"` // always SHA1
	CardSign  string `json:"cardSign"`
}

// ChooseCard signs a choice for wx.chooseCard (拉取适用卡券列表).
func (s *Signer) ChooseCard(ctx context.Context, c CardChoice) (SignedChoice, error) {
	ticket, err := s.readTicket(ctx, "wx_card")
	if err != nil {
		return SignedChoice{}, err
	}
	out := SignedChoice{CardChoice: c, Timestamp: time.Now().Unix(), NonceStr: randomLetters(), SignType: "SHA1"}
	out.CardSign = SignCard(ticket, s.AppID, c.ShopID, strconv.FormatInt(out.Timestamp, 10), out.NonceStr, c.CardID, c.CardType)
	return out, nil
}
