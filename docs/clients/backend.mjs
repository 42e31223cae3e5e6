// A backend to which wetoken forwards messages. Run SIGN_KEY=... node backend.mjs 9000; Node 18 or later.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'

const key = process.env.SIGN_KEY // sign_key of the app
const most = 4 << 20 // bytes of a body
if (!key) throw new Error('SIGN_KEY must be set')

// genuine reports whether header, a Wetoken-Signature, shows that wetoken sent body less than five minutes ago.
function genuine(header, body) {
  const stamp = /^t=([0-9]{1,12}),/.exec(header)?.[1]
  if (!stamp || Math.abs(Date.now() / 1000 - stamp) > 300) return false
  const want = createHmac('sha256', key).update(stamp + '.').update(body).digest()
  const given = [...header.matchAll(/,v1=([0-9a-f]{64})(?![^,])/g)]
  return given.some(v => timingSafeEqual(Buffer.from(v[1], 'hex'), want))
}

const server = createServer(async (request, response) => {
  const chunks = []
  let length = 0
  for await (const chunk of request) {
    if ((length += chunk.length) > most) return response.writeHead(413, { Connection: 'close' }).end()
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks)
  if (!genuine(request.headers['wetoken-signature'] ?? '', body)) return response.writeHead(401).end()
  // If a request with this Wetoken-Delivery was handled before, answer as before, and do nothing else.
  console.log('delivery', request.headers['wetoken-delivery'])
  response.end('{"MsgType":"text","Content":"got it"}')
})
server.listen(process.argv[2], '127.0.0.1', () => console.log(`listening on 127.0.0.1:${server.address().port}`))
