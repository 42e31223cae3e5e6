// Does with npm's tenpay and with the v2 of wechatpay-axios-plugin what a merchant does, against the server of its input, and
// prints what it saw.
const assert = require('node:assert');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const zlib = require('node:zlib');
const Tenpay = require('tenpay');
const { Wechatpay, Hash, Aes, Transformer } = require('wechatpay-axios-plugin');

const { base, appid, openid, merchant: m } = JSON.parse(fs.readFileSync(0));
const mchid = m.mchid;
const pfx = fs.readFileSync('apiclient_cert.p12');

const drive = (name, body) => new Promise((resolve, reject) => {
  const req = https.request(`${base}/_paytest/${name}`, { method: 'POST', headers: { 'Content-Type': 'application/json' } }, (res) => {
    const parts = [];
    res.on('data', (part) => parts.push(part));
    res.on('end', () => {
      const text = Buffer.concat(parts).toString();
      if (res.statusCode === 200) resolve(JSON.parse(text)); else reject(new Error(text));
    });
  });
  req.on('error', reject);
  req.end(JSON.stringify(body));
});

const refusal = async (promise) => {
  try {
    await promise;
  } catch (err) {
    return err.message;
  }
  return assert.fail('not refused');
};

// The notify URL runs tenpay's middleware, the kind of which is the path.
const notices = [];
let client;
const listen = () => new Promise((resolve) => {
  const server = http.createServer((req, res) => {
    const parts = [];
    req.on('data', (part) => parts.push(part));
    req.on('end', async () => {
      const body = Buffer.concat(parts).toString();
      const express = { header: (name, text) => res.setHeader(name, text), send: (text) => res.end(text) };
      const call = { body };
      let taken = false;
      let refused = '';
      const send = express.send;
      express.send = (text) => { refused = taken ? '' : text; send(text); };
      await client.middlewareForExpress(req.url.slice(1))(call, express, () => { taken = true; });
      notices.push({ body, read: call.weixin, refused });
      if (taken) express.reply();
    });
  });
  server.listen(0, '127.0.0.1', () => resolve(server));
});

const notice = async () => {
  for (let n = 0; notices.length === 0; n += 1) {
    assert(n < 500, 'no notification came');
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  return notices.shift();
};

const make = (key, sandbox) => {
  const pay = new Tenpay({ appid, mchid, partnerKey: key, pfx, notify_url: '', refund_url: '', sandbox });
  for (const name of Object.keys(pay.urls)) pay.urls[name] = pay.urls[name].replace('https://api.mch.weixin.qq.com', base);
  return pay;
};

const withTenpay = async (url, sign_type) => {
  const seen = {};
  const no = (text) => `${text}-${sign_type === 'MD5' ? 'md5' : 'hmac'}`;
  const pay = make(m.api_key);
  client = pay;
  const order = { body: '袜子 <&>', total_fee: 100, notify_url: `${url}/pay`, sign_type };

  seen.params = await pay.getPayParams({ ...order, out_trade_no: no('jsapi'), openid });
  const { timeStamp, nonceStr, signType, paySign, appId, package: pack } = seen.params;
  const sheet = await drive('open_sheet', { params: { appId, timeStamp, nonceStr, package: pack, signType, paySign } });
  seen.sheet = await drive('answer_sheet', { id: sheet.id, do: 'pay', openid });
  seen.paid = (await notice()).read;
  seen.query = await pay.orderQuery({ out_trade_no: no('jsapi'), sign_type });

  seen.native = await pay.unifiedOrder({ ...order, out_trade_no: no('native'), trade_type: 'NATIVE', product_id: '1' });
  seen.closed = (await pay.closeOrder({ out_trade_no: no('native'), sign_type })).result_code;
  seen.none = await refusal(pay.orderQuery({ out_trade_no: no('nothing'), sign_type }));

  seen.refund = await pay.refund({ out_trade_no: no('jsapi'), out_refund_no: no('refund'), total_fee: 100, refund_fee: 30, notify_url: `${url}/refund`, sign_type });
  await drive('refund', { mchid, out_refund_no: no('refund'), status: 'SUCCESS' });
  seen.refunded = (await notice()).read.req_info;
  seen.refunds = await pay.refundQuery({ out_refund_no: no('refund'), sign_type });
  const bare = make(m.api_key);
  bare.pfx = undefined;
  seen.bare = await refusal(bare.refund({ out_trade_no: no('jsapi'), out_refund_no: no('bare'), total_fee: 100, refund_fee: 30, sign_type }));

  seen.bill = await pay.downloadBill({ bill_date: '20190611', sign_type }, true);
  seen.noBill = await refusal(pay.downloadBill({ bill_date: '20190612', sign_type }));

  const { auth_code } = await drive('pay_code', { openid });
  seen.code = await pay.micropay({ body: 'till', out_trade_no: no('code'), total_fee: 5, auth_code, sign_type });
  seen.reversed = (await pay.reverse({ out_trade_no: no('code'), sign_type })).recall;

  await drive('disturb', { mchid, times: 1, sign: 'forged' });
  await pay.unifiedOrder({ ...order, out_trade_no: no('forged'), openid });
  await drive('pay', { mchid, out_trade_no: no('forged') });
  seen.forged = (await notice()).refused;
  await drive('fail', { path: '/pay/orderquery', times: 1, sign: 'forged' });
  seen.forgedAnswer = await refusal(pay.orderQuery({ out_trade_no: no('jsapi'), sign_type }));
  return seen;
};

const more = async (url) => {
  const seen = {};
  const pay = make(m.api_key);
  seen.transfer = await pay.transfers({ partner_trade_no: 'gift1', openid, re_user_name: '张三', amount: 100, desc: 'thanks' });
  seen.transferred = (await pay.transfersQuery({ partner_trade_no: 'gift1' })).status;
  seen.packet = await pay.sendRedpack({ mch_billno: 'packet1', send_name: 's', re_openid: openid, total_amount: 100, wishing: 'w', act_name: 'a', remark: 'r' });
  seen.packetState = (await pay.redpackQuery({ mch_billno: 'packet1' })).status;

  const { sandbox_signkey } = await pay.getSignkey();
  const box = make(sandbox_signkey, true);
  client = box;
  seen.boxed = await box.unifiedOrder({ body: 'b', out_trade_no: 'boxed-1', total_fee: 101, openid, notify_url: `${url}/pay` });
  seen.boxedPaid = (await notice()).read.out_trade_no;
  seen.boxedState = (await box.orderQuery({ out_trade_no: 'boxed-1' })).trade_state;
  seen.boxedRefund = (await box.refund({ out_trade_no: 'boxed-1', out_refund_no: 'boxed-2', total_fee: 101, refund_fee: 101 })).result_code;
  seen.boxedFee = await refusal(box.unifiedOrder({ body: 'b', out_trade_no: 'boxed-3', total_fee: 5000, openid, notify_url: `${url}/pay` }));
  return seen;
};

const withPlugin = async (url) => {
  const seen = {};
  const secret = m.api_key;
  const pay = new Wechatpay({
    mchid, serial: m.serial_no, privateKey: m.private_key, certs: { [m.public_key_id]: m.public_key }, secret, merchant: { pfx, passphrase: mchid }, baseURL: `${base}/`,
  });
  client = make(secret);
  const own = { appid, mch_id: mchid, sign_type: 'HMAC-SHA256' };
  const order = { ...own, body: '袜子 <&>', out_trade_no: 'plugin-1', total_fee: '7', spbill_create_ip: '127.0.0.1', notify_url: `${url}/pay`, trade_type: 'JSAPI', openid };
  seen.order = (await pay.v2.pay.unifiedorder.post(order)).data;
  await drive('pay', { mchid, out_trade_no: 'plugin-1' });
  const note = Transformer.toObject((await notice()).body);
  seen.paid = { ...note, true: Hash.sign('HMAC-SHA256', note, secret) === note.sign };
  seen.query = (await pay.v2.pay.orderquery.post({ ...own, out_trade_no: 'plugin-1' })).data;
  const refund = { ...own, out_trade_no: 'plugin-1', out_refund_no: 'plugin-2', total_fee: '7', refund_fee: '7', notify_url: `${url}/refund` };
  seen.refund = (await pay.v2.secapi.pay.refund.post(refund, { security: true })).data;
  await drive('refund', { mchid, out_refund_no: 'plugin-2', status: 'ABNORMAL' });
  const sealed = Transformer.toObject((await notice()).body);
  seen.refunded = Transformer.toObject(Aes.AesEcb.decrypt(sealed.req_info, Hash.md5(secret)));
  seen.refunds = (await pay.v2.pay.refundquery.post({ ...own, out_trade_no: 'plugin-1' })).data;
  const bill = await pay.v2.pay.downloadbill.post({ ...own, bill_date: '20190611', tar_type: 'GZIP' }, { responseType: 'arraybuffer', transformResponse: [] });
  seen.bill = zlib.gunzipSync(bill.data).toString();
  seen.none = await refusal(pay.v2.pay.orderquery.post({ ...own, out_trade_no: 'nothing' }));
  await drive('fail', { path: '/pay/orderquery', times: 1, sign: 'forged' });
  seen.forged = await refusal(pay.v2.pay.orderquery.post({ ...own, out_trade_no: 'plugin-1' }));
  seen.signkey = (await pay.v2.xdc.apiv2getsignkey.sign.getsignkey.post({ mch_id: mchid })).data.sandbox_signkey;
  return seen;
};

(async () => {
  const server = await listen();
  const url = `http://127.0.0.1:${server.address().port}`;
  const text = '\ufeff交易时间,公众账号ID\r\n`2019-06-11 12:00:00,`wx1\r\n总交易单数,应结订单总金额\r\n`1,`1.00\r\n';
  await drive('bill', { mchid, kind: 'tradebill', date: '2019-06-11', text });
  const seen = { MD5: await withTenpay(url, 'MD5'), HMAC: await withTenpay(url, 'HMAC-SHA256'), more: await more(url), plugin: await withPlugin(url) };
  server.close();
  process.stdout.write(JSON.stringify(seen), () => process.exit(0));
})().catch((err) => {
  console.error(err.message, err.stack);
  process.exit(1);
});
