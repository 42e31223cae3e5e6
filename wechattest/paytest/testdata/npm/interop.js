// Does with npm's wechatpay-axios-plugin what a merchant does, against the server of its input, and prints what it saw.
const assert = require('node:assert');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const zlib = require('node:zlib');
const { Wechatpay, Aes, Rsa, Formatter, Hash } = require('wechatpay-axios-plugin');

const input = JSON.parse(fs.readFileSync(0));
const { base, appid, openid, merchants } = input;

const drive = async (name, body) => {
  const res = await fetch(`${base}/_paytest/${name}`, { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } });
  const data = await res.json();
  assert.equal(res.status, 200, JSON.stringify(data));
  return data;
};

// certs of a merchant: by public key, or by platform certificate.
const certs = (m) => (m.platform
  ? { [m.platform_serial_no]: Rsa.from(m.platform, Rsa.KEY_TYPE_PUBLIC), [m.public_key_id]: Rsa.from(m.public_key, Rsa.KEY_TYPE_PUBLIC) }
  : { [m.public_key_id]: Rsa.from(m.public_key, Rsa.KEY_TYPE_PUBLIC) });

const notices = [];
const listen = () => new Promise((resolve) => {
  const server = http.createServer((req, res) => {
    const parts = [];
    req.on('data', (part) => parts.push(part));
    req.on('end', () => {
      notices.push({ headers: req.headers, body: Buffer.concat(parts).toString() });
      res.writeHead(204).end();
    });
  });
  server.listen(0, '127.0.0.1', () => resolve(server));
});

// notice waits for the next notification and reads it.
const notice = async (m) => {
  for (let n = 0; notices.length === 0; n += 1) {
    assert(n < 500, 'no notification came');
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  const { headers, body } = notices.shift();
  const message = Formatter.response(headers['wechatpay-timestamp'], headers['wechatpay-nonce'], body);
  const key = certs(m)[headers['wechatpay-serial']];
  assert(key, headers['wechatpay-serial']);
  const true_ = Rsa.verify(message, headers['wechatpay-signature'], key);
  const { event_type, resource } = JSON.parse(body);
  const plain = Aes.AesGcm.decrypt(resource.ciphertext, m.api_v3_key, resource.nonce, resource.associated_data);
  return { event: event_type, true: true_, ...JSON.parse(plain) };
};

const refusal = async (promise) => {
  try {
    await promise;
  } catch (err) {
    return { status: err.response && err.response.status, code: err.response && err.response.data.code, message: err.message };
  }
  return assert.fail('not refused');
};

const run = async (m, url) => {
  const seen = {};
  const mchid = m.mchid;
  const pay = new Wechatpay({ mchid, serial: m.serial_no, privateKey: Rsa.from(m.private_key, Rsa.KEY_TYPE_PRIVATE), certs: certs(m), baseURL: base });
  const amount = { total: 100, currency: 'CNY' };
  const order = { appid, mchid, description: '袜子', notify_url: url };
  const query = (no) => pay.v3.pay.transactions.outTradeNo._out_trade_no_.get({ params: { mchid }, out_trade_no: no });

  let res = await pay.v3.pay.transactions.jsapi.post({ ...order, out_trade_no: 'jsapi-1', amount, payer: { openid } });
  seen.prepay_id = res.data.prepay_id;
  await drive('pay', { mchid, out_trade_no: 'jsapi-1' });
  seen.paid = await notice(m);
  seen.transaction = (await query('jsapi-1')).data;

  res = await pay.v3.pay.transactions.native.post({ ...order, out_trade_no: 'aaa|b*c', amount });
  seen.code_url = res.data.code_url;
  seen.bar = (await query('aaa|b*c')).data;
  res = await pay.v3.pay.transactions.outTradeNo._out_trade_no_.close.post({ mchid }, { out_trade_no: 'aaa|b*c' });
  seen.closed = res.status;
  seen.closed_state = (await query('aaa|b*c')).data.trade_state;
  seen.none = await refusal(query('nothing'));

  res = await pay.v3.refund.domestic.refunds.post({
    out_trade_no: 'jsapi-1', out_refund_no: 'refund-1', notify_url: url, amount: { refund: 30, total: 100, currency: 'CNY' },
  });
  seen.refund = res.data;
  await drive('refund', { mchid, out_refund_no: 'refund-1', status: 'SUCCESS' });
  seen.refunded = await notice(m);
  seen.refund_state = (await pay.v3.refund.domestic.refunds._out_refund_no_.get({ out_refund_no: 'refund-1' })).data.status;

  res = await pay.v3.combineTransactions.native.post({
    combine_appid: appid, combine_mchid: mchid, combine_out_trade_no: 'combined-1', notify_url: url,
    sub_orders: ['part-1', 'part-2'].map((no) => ({
      mchid, attach: no, description: no, out_trade_no: no, amount: { total_amount: 10, currency: 'CNY' },
    })),
  });
  seen.combined_url = res.data.code_url;
  await drive('pay', { mchid, out_trade_no: 'part-1', openid });
  seen.combined = await notice(m);
  seen.combined_query = (await pay.v3.combineTransactions.outTradeNo._no_.get({ no: 'combined-1' })).data;

  const serial = m.public_key_id && !m.platform ? m.public_key_id : m.platform_serial_no;
  res = await pay.v3.fundApp.mchTransfer.transferBills.post({
    appid, out_bill_no: 'transfer1', transfer_scene_id: '1000', openid, user_name: Rsa.encrypt('张三', certs(m)[serial]),
    transfer_amount: 50, transfer_remark: 'thanks', notify_url: url,
    transfer_scene_report_infos: [{ info_type: '活动名称', info_content: '新会员有礼' }],
  }, { headers: { 'Wechatpay-Serial': serial } });
  seen.transfer = res.data;
  await drive('transfer', { mchid, out_bill_no: 'transfer1', state: 'SUCCESS' });
  seen.transferred = await notice(m);

  const picture = crypto.randomBytes(5000);
  fs.writeFileSync('a.png', picture);
  const meta = { filename: 'a.png', sha256: Hash.sha256(picture) };
  res = await pay.v3.merchant.media.upload.post(
    { meta: JSON.stringify(meta), file: fs.createReadStream('a.png') },
    { meta, headers: { 'Content-Type': 'multipart/form-data' } },
  );
  seen.media_id = res.data.media_id;

  const text = '\ufeff交易时间,公众账号ID\r\n`2019-06-11 12:00:00,`wx1\r\n总交易单数,应结订单总金额\r\n`1,`1.00\r\n';
  await drive('bill', { mchid, kind: 'tradebill', date: '2019-06-11', text });
  for (const tar_type of [undefined, 'GZIP']) {
    res = await pay.v3.bill.tradebill.get({ params: { bill_date: '2019-06-11', tar_type } });
    const { download_url, hash_value } = res.data;
    res = await pay.v3.billdownload.file.get({ params: { token: new URL(download_url).searchParams.get('token') }, responseType: 'arraybuffer' });
    const raw = tar_type ? zlib.gunzipSync(res.data) : Buffer.from(res.data);
    assert.equal(Hash.sha1(raw), hash_value);
    assert.equal(raw.toString(), text);
  }
  seen.bill = true;

  await drive('fail', { path: '/v3/pay/transactions/native', times: 1, sign: 'forged' });
  seen.forged = await refusal(pay.v3.pay.transactions.native.post({ ...order, out_trade_no: 'forged-1', amount }));
  await drive('fail', { path: '/v3/pay/transactions/native', times: 1, sign: 'unsigned' });
  seen.unsigned = await refusal(pay.v3.pay.transactions.native.post({ ...order, out_trade_no: 'unsigned-1', amount }));
  await drive('disturb', { mchid, times: 1, sign: 'forged' });
  await drive('notify', { mchid, url, event_type: 'ANY.EVENT', original_type: 'any', plain: { any: 'thing' } });
  seen.forged_notice = await notice(m);
  return seen;
};

(async () => {
  const server = await listen();
  const url = `http://127.0.0.1:${server.address().port}/paid`;
  const all = [];
  for (const m of merchants) all.push(await run(m, url));
  server.close();
  process.stdout.write(JSON.stringify(all));
})().catch((err) => {
  console.error(err.message, err.stack, err.response && JSON.stringify(err.response.data));
  process.exit(1);
});
