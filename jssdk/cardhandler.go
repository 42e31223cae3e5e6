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
// A card may have all fields of [Card], a choice all of [CardChoice]. An error is {"errcode":…,"errmsg":"…"}: 400 for
// an invalid body, 502 with WeChat's errcode if WeChat refused, 503 if WeChat could not be reached. For WeCom, which
// has no cards, there are no routes.
type CardHandler struct {
	Signer *Signer
	Guard  func(http.Handler) http.Handler // admits callers; nil refuses all with 403
}

// Routes returns the routes for wetoken.Bind.
func (h *CardHandler) Routes() map[string]http.Handler {
	if h.Signer.Kind == wechat.Work {
		return nil
	}
	return map[string]http.Handler{"POST /js/card": answer.Guarded(h.Guard, http.HandlerFunc(h.serveCard))}
}

func (h *CardHandler) serveCard(w http.ResponseWriter, r *http.Request) {
	ask, ok := readCardRequest(w, r)
	if !ok {
		return
	}
	v, err := h.Signer.signCards(r.Context(), ask)
	if err != nil {
		answer.Failure(w, err)
		return
	}
	writeResult(w, r, v, nil)
}

// serveCard signs a card for a page, by its cardId only, since strangers can send the same request.
func (h *Handler) serveCard(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("Origin") == "":
		answer.Refuse(w, http.StatusForbidden, "jssdk: cards are signed for pages of the app's hosts, and this request has no Origin")
		return
	case !h.admitOrigin(w, r):
		return
	case !h.Cards:
		answer.Refuse(w, http.StatusForbidden, "jssdk: cards are not signed for pages of this app: its setting cards is off")
		return
	}
	ask, ok := readCardRequest(w, r)
	if !ok {
		return
	}
	for _, c := range ask.AddCard {
		if c != (Card{CardID: c.CardID}) {
			answer.Refuse(w, http.StatusBadRequest, "jssdk: addCard must have cardId only: other fields are signed for the app's own server, with a key")
			return
		}
		if !isCardID(c.CardID) {
			answer.Refuse(w, http.StatusBadRequest, "jssdk: addCard: invalid cardId: want p and 27 letters, digits, - or _")
			return
		}
	}
	if c := ask.ChooseCard; c != nil {
		if *c != (CardChoice{CardID: c.CardID}) {
			answer.Refuse(w, http.StatusBadRequest, "jssdk: chooseCard must have cardId only, or nothing: other fields are signed for the app's own server, with a key")
			return
		}
		if c.CardID != "" && !isCardID(c.CardID) {
			answer.Refuse(w, http.StatusBadRequest, "jssdk: chooseCard: invalid cardId: want p and 27 letters, digits, - or _")
			return
		}
	}
	v, err := h.Signer.signCards(r.Context(), ask)
	writeResult(w, r, v, err)
}

// isCardID reports whether id has the form of a card id. The fixed length prevents that a signed id is read
// as two values.
func isCardID(id string) bool { return cardIDPattern.MatchString(id) }

var cardIDPattern = regexp.MustCompile(`^p[0-9A-Za-z_-]{27}$`)

// cardRequest is the body of a request for cards: ChooseCard, or AddCard without it.
type cardRequest struct {
	AddCard    []Card      `json:"addCard"`
	ChooseCard *CardChoice `json:"chooseCard"`
}

const maxCards = 100

// readCardRequest reads the body of a request for cards, or answers with an error.
func readCardRequest(w http.ResponseWriter, r *http.Request) (ask cardRequest, ok bool) {
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

// signCards signs all cards of a request.
func (s *Signer) signCards(ctx context.Context, ask cardRequest) (any, error) {
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
