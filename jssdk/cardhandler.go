package jssdk

import (
	"context"
	"net/http"
	"regexp"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/wechat"
)

// CardHandler signs cards for the app's own servers:
//
//	POST /js/card {"addCard":[{"cardId":"…","code":"…","openid":"…","balance":"…"}]}   the argument of wx.addCard
//	POST /js/card {"chooseCard":{"shopId":"…","cardType":"…","cardId":"…"}}            the argument of wx.chooseCard
//
// A card may have each field of [Card], a choice each of [CardChoice]. An error is {"errcode":…,"errmsg":"…"}: 400 for a
// body that is not as above, 502 with WeChat's errcode where WeChat refused, 503 where it could not be reached. It has no
// routes in WeCom, which has no cards.
type CardHandler struct {
	Signer *Signer
	Guard  func(http.Handler) http.Handler // lets callers in; nil refuses everybody with 403
}

// Routes makes CardHandler a part that wetoken.Bind mounts.
func (h *CardHandler) Routes() map[string]http.Handler {
	if h.Signer.Kind == wechat.Work {
		return nil
	}
	return map[string]http.Handler{"POST /js/card": answer.Guarded(h.Guard, http.HandlerFunc(h.card))}
}

func (h *CardHandler) card(w http.ResponseWriter, r *http.Request) {
	ask, ok := readCards(w, r)
	if !ok {
		return
	}
	v, err := h.Signer.cards(r.Context(), ask)
	if err != nil {
		answer.Failure(w, err)
		return
	}
	reply(w, r, v, nil)
}

// card signs for a page, which strangers can play: a card by its cardId, and nothing else.
func (h *Handler) card(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("Origin") == "":
		answer.Refuse(w, http.StatusForbidden, "jssdk: cards are signed for pages of the app's hosts, and this request has no Origin")
		return
	case !h.admits(w, r):
		return
	case !h.Cards:
		answer.Refuse(w, http.StatusForbidden, "jssdk: cards are not signed for pages of this app: its setting cards is off")
		return
	}
	ask, ok := readCards(w, r)
	if !ok {
		return
	}
	for _, c := range ask.AddCard {
		if c != (Card{CardID: c.CardID}) {
			answer.Refuse(w, http.StatusBadRequest, "jssdk: addCard must have cardId alone: the rest is signed for the app's own server, with a key")
			return
		}
		if !isCardID(c.CardID) {
			answer.Refuse(w, http.StatusBadRequest, "jssdk: addCard: cardId must be a card id of WeChat: p and 27 letters, digits, - or _")
			return
		}
	}
	if c := ask.ChooseCard; c != nil {
		if *c != (CardChoice{CardID: c.CardID}) {
			answer.Refuse(w, http.StatusBadRequest, "jssdk: chooseCard must have cardId alone, or nothing: the rest is signed for the app's own server, with a key")
			return
		}
		if c.CardID != "" && !isCardID(c.CardID) {
			answer.Refuse(w, http.StatusBadRequest, "jssdk: chooseCard: cardId must be a card id of WeChat: p and 27 letters, digits, - or _")
			return
		}
	}
	v, err := h.Signer.cards(r.Context(), ask)
	reply(w, r, v, err)
}

// isCardID reports whether id has the shape of WeChat's card ids. Its fixed length keeps a signed one from being read as
// two values.
func isCardID(id string) bool { return cardID.MatchString(id) }

var cardID = regexp.MustCompile(`^p[0-9A-Za-z_-]{27}$`)

// cardsAsked is the body of a request for cards: ChooseCard, or else AddCard.
type cardsAsked struct {
	AddCard    []Card      `json:"addCard"`
	ChooseCard *CardChoice `json:"chooseCard"`
}

const maxCards = 100

// readCards reads the body of a request for cards, or answers what is wrong with it.
func readCards(w http.ResponseWriter, r *http.Request) (ask cardsAsked, ok bool) {
	const want = `{"addCard":[{"cardId":"…"}]} or {"chooseCard":{}}`
	if !answer.Body(w, r, maxBody, want, &ask) {
		return ask, false
	}
	if ask.ChooseCard != nil {
		ask.AddCard = nil
		return ask, true
	}
	if len(ask.AddCard) == 0 || len(ask.AddCard) > maxCards {
		answer.Refuse(w, http.StatusBadRequest, "the body must be "+want)
		return ask, false
	}
	for _, c := range ask.AddCard {
		if c.CardID == "" {
			answer.Refuse(w, http.StatusBadRequest, "each card must have its cardId")
			return ask, false
		}
	}
	return ask, true
}

// cards signs all that a request asks for.
func (s *Signer) cards(ctx context.Context, ask cardsAsked) (any, error) {
	if ask.ChooseCard != nil {
		return s.ChooseCard(ctx, *ask.ChooseCard)
	}
	var list struct {
		Cards []SignedCard `json:"cardList"`
	}
	for _, c := range ask.AddCard {
		signed, err := s.AddCard(ctx, c)
		if err != nil {
			return nil, err
		}
		list.Cards = append(list.Cards, signed)
	}
	return list, nil
}
