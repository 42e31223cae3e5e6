// Reads a JSON array of jobs from standard input and writes what the packages make of them, in the same order.
const WechatCrypto = require('wechat-crypto')
const wecom = require('@wecom/crypto')

const packages = {
  'wechat-crypto': {
    seal (j) {
      const c = new WechatCrypto(j.token, j.key, j.id)
      const encrypt = c.encrypt(j.message)
      return { encrypt, signature: c.getSignature(j.timestamp, j.nonce, encrypt) }
    },
    open (j) {
      const c = new WechatCrypto(j.token, j.key, j.id)
      const { message, id } = c.decrypt(j.encrypt)
      return { message, id, signature: c.getSignature(j.timestamp, j.nonce, j.encrypt) }
    }
  },
  '@wecom/crypto': {
    seal (j) {
      const encrypt = wecom.encrypt(j.key, j.message, j.id)
      return { encrypt, signature: wecom.getSignature(j.token, j.timestamp, j.nonce, encrypt) }
    },
    open (j) {
      const { message, id } = wecom.decrypt(j.key, j.encrypt)
      return { message, id, signature: wecom.getSignature(j.token, j.timestamp, j.nonce, j.encrypt) }
    }
  }
}

const jobs = JSON.parse(require('fs').readFileSync(0, 'utf8'))
process.stdout.write(JSON.stringify(jobs.map(j => packages[j.package][j.op](j))))
