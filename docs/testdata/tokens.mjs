// Asks the client for a token, or calls WeChat with it, for each line of the input.
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const [file, url, key, wechat] = process.argv.slice(2)
const { Tokens } = await import(pathToFileURL(file))
const tokens = new Tokens(url, key)
for await (const line of createInterface({ input: process.stdin })) {
  try {
    if (line === 'token') {
      const both = await Promise.all([tokens.token(), tokens.token()])
      console.log('ok', new Set(both).size === 1 ? both[0] : both.join())
    } else {
      const answer = await tokens.call(async token => (await fetch(wechat + token)).json())
      console.log('ok', answer.errcode ?? 0)
    }
  } catch (e) {
    console.log('error', e.message.replaceAll('\n', ' '))
  }
}
