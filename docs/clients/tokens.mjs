// Gets the access token of an app from wetoken. Node 18 or later, without packages.
export class Tokens {
  // url is such as http://wetoken:8081/app/shop/token, and key a caller key with the scopes token and renew.
  constructor(url, key) {
    Object.assign(this, { url, key, value: null, askAt: 0, end: 0, turn: Promise.resolve() })
  }

  // token returns the token, or one other than the token that WeChat refused. It makes one request at a time.
  token(refused) {
    const mine = this.turn.then(() => this.next(refused))
    this.turn = mine.catch(() => {})
    return mine
  }

  // call returns the answer of api(token), an object from WeChat; api is called once more if the token is refused.
  async call(api) {
    const token = await this.token(), answer = await api(token)
    return [40001, 40014, 42001].includes(answer.errcode) ? api(await this.token(token)) : answer
  }

  async next(refused) {
    const now = performance.now() / 1000
    if (this.value && this.value !== refused && now < this.askAt) return this.value
    const { status, text } = await this.ask(refused).catch(e => ({ status: 0, text: String(e.cause ?? e) }))
    if (status === 200) {
      const answer = JSON.parse(text)
      this.value = answer.access_token
      this.askAt = (this.end = now + answer.expires_in) - 60
    } else if (this.value && now < this.end && (status === 0 || status === 429 || status >= 500)) {
      this.askAt = now + 5 // keeps the old token, and asks wetoken again soon
    } else throw new Error(`no token: HTTP status ${status}: ${text.slice(0, 300)}`)
    return this.value
  }

  async ask(refused) { // a POST with the refused token, otherwise a GET
    const init = { headers: { Authorization: `Bearer ${this.key}` }, redirect: 'manual', signal: AbortSignal.timeout(10_000) }
    const r = await fetch(this.url, refused ? { ...init, method: 'POST', body: JSON.stringify({ refused }) } : init)
    return { status: r.status, text: await r.text() }
  }
}
