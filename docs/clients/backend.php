<?php
// A backend to which wetoken forwards messages. Run SIGN_KEY=... php -S 127.0.0.1:9000 backend.php, or below any server;
// PHP 7.4 or later.

// Reports whether header, a Wetoken-Signature, shows that wetoken sent body less than five minutes ago.
function genuine(string $header, string $body, string $key): bool
{
    if ($key === '' || !preg_match('/^t=([0-9]{1,12}),/', $header, $stamp) || abs(time() - (int) $stamp[1]) > 300) {
        return false;
    }
    $want = hash_hmac('sha256', $stamp[1] . '.' . $body, $key);
    preg_match_all('/,v1=([0-9a-f]{64})(?![^,])/', $header, $given);
    $found = false;
    foreach ($given[1] as $v) {
        $found = hash_equals($want, $v) || $found;
    }
    return $found;
}

$body = file_get_contents('php://input', false, null, 0, (4 << 20) + 1);
if (strlen($body) > 4 << 20) {
    http_response_code(413);
    exit;
}
$key = (string) getenv('SIGN_KEY'); // sign_key of the app
if (!genuine($_SERVER['HTTP_WETOKEN_SIGNATURE'] ?? '', $body, $key)) {
    http_response_code(401);
    exit;
}
// If a request with this Wetoken-Delivery was handled before, answer as before, and do nothing else.
error_log('delivery ' . $_SERVER['HTTP_WETOKEN_DELIVERY']);
header('Content-Type: application/json');
echo '{"MsgType":"text","Content":"got it"}';
