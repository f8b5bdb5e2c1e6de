/* test_scrub.c - what the scrubber replaces, what it leaves, where it cuts, idempotence */

#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct scrub_case {
    const char *text, *scrubbed;
} scrub_case;

/* Tokens are made up, and in two pieces, so that nobody's scanner takes them for live ones. */
static const scrub_case positive[] = {
    /* e-mail */
    {"mail to ann.lee@example.org bounced", "mail to [email] bounced"},
    {"<ops+alerts@mail.example.co.uk>", "<[email]>"},
    {"from=bob_7@host.example.net;", "from=[email];"},
    {"user%tag@example.com", "[email]"},
    {"owner j\303\274rgen@b\303\274cher.example sent it", "owner [email] sent it"},
    {"root@xn--bcher-kva.example", "[email]"},
    {"two a.b@c.de, f_g@h-i.jk", "two [email], [email]"},
    {"mailto:who@where.museum", "mailto:[email]"},
    {"cc 'o'brien@example.ie' rejected", "cc '[email]' rejected"},
    {"login=carol%40example.com&x=1", "login=[email]&x=1"},
    {"ada@example.com.", "[email]."},
    {"(eve@example.io)", "([email])"},
    /* addresses */
    {"bind 10.1.2.3 failed", "bind [ip] failed"},
    {"peer 203.0.113.9:6333 reset", "peer [ip]:6333 reset"},
    {"net 172.16.4.0/22", "net [ip]"},
    {"a=8.8.8.8,b=9.9.9.9", "a=[ip],b=[ip]"},
    {"http 198.51.100.7:80/api/users/7 500", "http [ip] 500"},
    {"[192.0.2.44] timed out", "[[ip]] timed out"},
    {"from /192.0.2.45", "from /[ip]"},
    {"host-192.0.2.46", "host-[ip]"},
    {"255.255.255.255.", "[ip]."},
    {"dns 2001:db8::17 down", "dns [ip] down"},
    {"[2001:db8::1]:443 refused", "[ip]:443 refused"},
    {"fe80::42:acff:fe11:2%eth0", "[ip]"},
    {"2001:db8:1:2:3:4:5:6", "[ip]"},
    {"addr:2001:db8::9", "addr:[ip]"},
    {"::ffff:192.0.2.128 gone", "[ip] gone"},
    {"prefix 2001:db8:40::/48", "prefix [ip]"},
    {"v6 2001:db8::192.0.2.33", "v6 [ip]"},
    {"peer 2001:db8::5: reset by peer", "peer [ip]: reset by peer"},
    /* hardware addresses */
    {"eth0 02:42:ac:11:00:02 up", "eth0 [mac] up"},
    {"wlan 3C-22-FB-01-9A-7e", "wlan [mac]"},
    {"eui 00:1b:63:ff:fe:84:45:e6", "eui [mac]"},
    {"port 0011.22aa.bbcc flaps", "port [mac] flaps"},
    {"hw=de:ad:be:ef:00:01,", "hw=[mac],"},
    /* URLs */
    {"GET https://db.example.com:8443/v1?x=1 -> 503", "GET [url] -> 503"},
    {"see http://localhost:9000.", "see [url]."},
    {"mongodb+srv://u:p@ss#w@cl0.example.net/db?w=majority", "[url]"},
    {"jdbc:postgresql://h/db?user=x failed", "[url] failed"},
    {"jdbc:oracle:thin:@h:1521:x", "[url]"},
    {"open file:/tmp/a", "open [url]"},
    {"file:///C:/x/y.txt", "[url]"},
    {"s3://bucket/key/part-1", "[url]"},
    {"(https://a.example/b)", "([url])"},
    {"\"url\":\"https:\\/\\/a.example\\/b\"", "\"url\":\"[url]\""},
    {"redis://:pw@cache:6379/0,", "[url],"},
    {"ws://[2001:db8::1]:80/x", "[url]"},
    {"proto://user:h1@nter)2@db:1 end", "[url] end"},
    /* paths */
    {"open /home/ann/db.sqlite failed", "open [path] failed"},
    {"/var/lib/app/x.log:12: bad", "[path]:12: bad"},
    {"cwd ~/projects/x", "cwd [path]"},
    {"run ~ann/bin", "run [path]"},
    {"$HOME/.config/app", "[path]"},
    {"${HOME}/cache/y", "[path]"},
    {"dlopen(/opt/acme/lib.so)", "dlopen([path])"},
    {"flags -I/usr/include -O2", "flags -I[path] -O2"},
    {"\"/Users/ann/My Documents/a b\" missing", "\"[path]\" missing"},
    {"'/srv/data/x y.bin': denied", "'[path]': denied"},
    {"copy /mnt/big disk/export.json: EIO", "copy [path]: EIO"},
    {"/home/ann/a\\ b/c.txt", "[path]"},
    {"path=/data/x/y.", "path=[path]."},
    {"C:\\Users\\ann\\x.ini not found", "[path] not found"},
    {"D:/proj/app/main.cfg", "[path]"},
    {"C:\\Program Files (x86)\\Acme\\a.dll: bad image", "[path]: bad image"},
    {"\"C:\\\\Users\\\\ann\\\\x y\" missing", "\"[path]\" missing"},
    {"load C:\\a\\b, then D:\\c\\d", "load [path], then [path]"},
    {"\\\\nas01\\share\\x.db locked", "[path] locked"},
    {"\\\\\\\\nas01\\\\share\\\\x", "[path]"},
    {"\\\\?\\C:\\very\\long", "[path]"},
    {"\\\\.\\pipe\\app", "[path]"},
    {"%APPDATA%\\Acme\\x.ini", "[path]"},
    {"in `/etc/acme/x.conf`", "in `[path]`"},
    {"json \\/home\\/ann\\/x", "json [path]"},
    /* named secrets */
    {"password=hunter2", "password=[secret]"},
    {"Password: hunter2", "Password: [secret]"},
    {"password = \"correct horse\" ok", "password = \"[secret]\" ok"},
    {"{\"passwd\":\"x y z\",\"n\":1}", "{\"passwd\":\"[secret]\",\"n\":1}"},
    {"\\\"password\\\": \\\"x\\\"", "\\\"password\\\": \\\"[secret]\\\""},
    {"PWD=abc;Db=1", "PWD=[secret];Db=1"},
    {"dbPassword='it''s'", "dbPassword='[secret]'"},
    {"ADMIN_PASS=letmein # c", "ADMIN_PASS=[secret] # c"},
    {"user pw:abc123!", "user pw:[secret]"},
    {"passphrase => \"open sesame\"", "passphrase => \"[secret]\""},
    {"secret := s3cr3t", "secret := [secret]"},
    {"client_secret: aZ9#", "client_secret: [secret]"},
    {"if (password == \"x1\")", "if (password == \"[secret]\")"},
    {"api_key=Ab3dE6gH9", "api_key=[secret]"},
    {"API Key: 77aa88bb99", "API Key: [secret]"},
    {"X-Api-Key: 0123456789abcdef", "X-Api-Key: [secret]"},
    {"access_token=abcd1234efgh&x=1", "access_token=[secret]&x=1"},
    {"token: 12345678", "token: [secret]"},
    {"private_key = 'ab12cd34'", "private_key = '[secret]'"},
    {"password: |\n  x9y8z7\nb: c", "password: |\n  [secret]\nb: c"},
    {"pw: !vault >-\n  ab12cd", "pw: !vault >-\n  [secret]"},
    {"password:\n  ab12cd", "password:\n  [secret]"},
    {"new NetworkCredential(\"ann\", \"hunter2\")", "new NetworkCredential(\"[secret]\")"},
    {"Credential(\"ann@example.org\", 'x y')", "Credential(\"[secret]')"},
    {"auth=('ann', 'hunter2')", "auth=('[secret]')"},
    {"getenv(\"A\", \"geheim-71\")", "getenv(\"[secret]\")"},
    {"PASSWORD(hunter22)", "PASSWORD([secret])"},
    {"password for user 'ann' is 'x1'", "password for [secret]'"},
    {"password = \"{{a}b\"", "password = \"[secret]\""},
    {"pwd=%dab12cd", "pwd=[secret]"},
    {"api_key=aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "api_key=[secret]"},
    {"x:$1$12345678$abcdefghijklmnopqrstuv:0", "x:[secret]:0"},
    {"x $5$rounds=5000$12345678$abcdefghijklmnopqrstuvwxyz end", "x [secret] end"},
    {"\345\257\206\347\240\201(hunter22)", "\345\257\206\347\240\201([secret])"},
    {"Password(hunter22)", "Password([secret])"},
    {"auth=('a1', 'b2', 'hunter2')", "auth=('[secret]')"},
    {"auth('a','b','c','d')", "auth('[secret]','d')"},
    {"password for ann is \"hunter2\"", "password for [secret]\""},
    {"password for ann is ''", "password for [user] is ''"},
    {"password for ann: 'open", "password for [user]: 'open"},
    {"login:ann/hunter22", "login:[user]"},
    {"curl -u ann:'hunter2' x", "curl -u [secret] x"},
    {"curl -u \"k3y4567x:\" x", "curl -u \"[secret]\" x"},
    {"redis-cli -a hunter2 ping", "redis-cli -a [secret] ping"},
    {"ldapsearch -x -w hunter2 -b y", "ldapsearch -x -w [secret] -b y"},
    /* machines and users by their place */
    {"Nov  3 09:00:01 web-4 cron[221]: x", "Nov  3 09:00:01 [host] cron[221]: x"},
    {"on ip-10-0-4-17: up", "on [host]: up"},
    {"connect to nas-a (192.0.2.1)", "connect to [host] ([ip])"},
    {"hwaddr=0a0027000001 up", "hwaddr=[mac] up"},
    {"mac=\"0a0027000001\"", "mac=\"[mac]\""},
    {"<mac>0a0027000001</mac>", "<mac>[mac]</mac>"},
    {"ip-10-0-4-17.ec2.internal", "[host]"},
    {"ip-10-0-4-17.", "[host]."},
    {"git@web1:/srv/x", "[user]:[path]"},
    {"ssh ann@web1.example", "ssh [email]"},
    {"sudo:  ann : TTY=pts/0", "sudo:  [user] : TTY=pts/0"},
    {"user [ann_k] denied", "user [[user]] denied"},
    {"user `ann' unknown", "user `[user]' unknown"},
    {"user: 'ann:staff'", "user: '[user]'"},
    {"user: \"ann@ORCL\"", "user: \"[user]\""},
    {"ann@web1:~$ ls", "[user]:~$ ls"},
    {"[ann@web1 ~]#", "[[user] ~]#"},
    {"ssh ann@web1", "ssh [user]"},
    {"for arn:aws:iam::000000000042:user/ann, x", "for [id], x"},
    {"<bounce=ann=example.org@l.example.net>", "<[email]>"},
    {"sig=Zm9v1YmFy%3D&se=2026", "sig=[secret]&se=2026"},
    {"otp: 493021", "otp: [secret]"},
    {"pin=1234", "pin=[secret]"},
    {"pin_code=0007", "pin_code=[secret]"},
    {"--password whatever1 --x", "--password [secret] --x"},
    {"-Token ab12cd34ef", "-Token [secret]"},
    {"connect --secret \"a b\"", "connect --secret \"[secret]\""},
    {"CREATE USER x PASSWORD 'y1'", "CREATE USER x PASSWORD '[secret]'"},
    {"ALTER ROLE x PASSWORD Y1y1y1y1", "ALTER ROLE x PASSWORD [secret]"},
    {"IDENTIFIED BY 'tiger1'", "IDENTIFIED BY '[secret]'"},
    {"identified by scott11tiger", "identified by [secret]"},
    {"set_opt(OPT_PASSWORD, \"p4ss\")", "set_opt(OPT_PASSWORD, \"[secret]\")"},
    {"password is \"p4ss\"", "password is \"[secret]\""},
    {"API key: abcd-1234-efgh-5678", "API key: [secret]"},
    {"Secret key: nebel4471", "Secret key: [secret]"},
    {"x: password-Hunter2x9", "x: password-[secret]"}, {"PASS-S3cr3t!", "PASS-[secret]"},
    {"curl -u ann:pw1 x", "curl -u [secret] x"},
    {"curl --user 'ann:pw' x", "curl --user '[secret]' x"},
    {"pwd%3Dabc1", "pwd%3D[secret]"},
    {"password=\303\251t\303\251", "password=[secret]"},
    {"password=\"cut off", "password=\"[secret]"},
    {"config['password'] = 'x'", "config['password'] = '[secret]'"},
    {"token=abc[def1234", "token=[secret]"},
    {"secret=[x1]y", "secret=[secret]"},
    /* headers and schemes */
    {"Authorization: Bearer abc123def456", "Authorization: [secret]"},
    {"-H \"Authorization: Basic dXNlcjpwdw==\" -v", "-H \"Authorization: [secret]\" -v"},
    {"'Authorization': 'ApiKey q1w2e3r4'", "'Authorization': '[secret]'"},
    {"Proxy-Authorization: Negotiate YII7abc=", "Proxy-Authorization: [secret]"},
    {"Cookie: sid=ab12; theme=dark\nnext", "Cookie: [secret]\nnext"},
    {"Set-Cookie: theme=v; Path=/", "Set-Cookie: [secret]"},
    {"Authorization: Digest username=\"ann\", uri=\"/\"", "Authorization: [secret]"},
    {"got Bearer 0a1b2c3d4e", "got Bearer [secret]"},
    {"Basic YW5uOnB3 sent", "Basic [secret] sent"},
    {"Token 9944b09199c62bcf", "Token [secret]"},
    {"retry with bearer aBcDeFgHiJkLmNoPqRsT", "retry with bearer [secret]"},
    /* tokens */
    {"eyJ" "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_1 expired", "[jwt] expired"},
    {"AKIA" "IOSFODNN7EXAMPLE used", "[token] used"},
    {"key ghp_" "Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0", "key [token]"},
    {"github_pat_" "11AAAAAAA0Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0x", "[token]"},
    {"glpat-" "abcdefgh1234567890", "[token]"},
    {"xoxb-" "1234-5678-abcdefghij", "[token]"},
    {"sk-" "proj-Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0", "[token]"},
    {"sk_live_" "abcdefgh12345678", "[token]"},
    {"hf_" "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEf12", "[token]"},
    {"AIza" "SyAZx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0x", "[token]"},
    {"npm_" "Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0aa", "[token]"},
    {"pypi-" "AgEIcHlwaS5vcmcZx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0",
     "[token]"},
    {"SG." "abcdefghijklmnopqrstuv.0123456789", "[token]"},
    {"hvs." "Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0", "[token]"},
    {"dop_v1_" "0123456789abcdef0123456789abcdef0123456789abcdef", "[token]"},
    {"tskey-" "auth-k123-Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0", "[token]"},
    {"whsec_" "Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0", "[token]"},
    {"r8_" "Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0abcdefgh", "[token]"},
    {"gsk_" "Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0abcdefghijkl", "[token]"},
    {"pcsk_" "2abcd_Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg00123456789", "[token]"},
    {"ck-" "Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0ab", "[token]"},
    {"lin_api_" "Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0", "[token]"},
    {"ya29." "a0Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0", "[token]"},
    {"0xoxp-" "123-456-789-abcdef01", "0[token]"},
    {"\\nghp_" "Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0", "\\n[token]"},
    {"\033[93mghp_" "Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0\033[0m", "\033[93m[token]\033[0m"},
    {"ZXlK" "aGJHY2lPaUpJVXpJMU5pSjkuZXlKemRXSWlPaUl4SW4w", "[jwt]"},
    {"LS0tLS1CRUdJTi" "BQUklWQVRFIEtFWS0tLS0tCg==", "[key]"},
    {"dapi" "0123456789abcdef0123456789abcdef", "[token]"},
    {"https_token_ghs_" "Zx9Kq2Lm7Np4Rt8Vw3Yb6Hc1Jd5Fg0", "https_token_[token]"},
    /* PEM */
    {"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest", "[key]\nrest"},
    {"x -----BEGIN PGP MESSAGE----- cut", "x [key]"},
    {"k=\"-----BEGIN EC PRIVATE KEY-----\\nMHc\\n-----END EC PRIVATE KEY-----\"", "k=\"[key]\""},
    {"-----BEGIN CERTIFICATE-----MIIB", "[key]"},
    /* several in a line */
    {"ann@example.com at 10.0.0.8 opened /home/ann/x.db", "[email] at [ip] opened [path]"},
    {"10.0.0.8 - - \"GET /v1/items/7\" https://r.example/", "[ip] - - \"GET [path]\" [url]"},
    {"password=a token=bcdefgh1", "password=[secret] token=[secret]"},
    /* what stands before a span is read as its marker ends it */
    {"+5 11 98456 5666 Kp4wZ9cVb2NxQ7rT1mYs", "[phone] [b64]"},
    {"+90 (532) 123 45 6E\\jui", "[phone] [user]"},
    /* markers stay */
    {"[email] password=[secret]x@y.zz", "[email] password=[secret][email]"},
    {"a[ip]/b/c 10.0.0.9", "a[ip]/b/c [ip]"},
};

static const char *const harmless[] = {
    "a$1$12345678$abcdefghijklmnopqrstuvwxyz", "$1$salt-$abcdefghijklmnopqrstuv",
    "$6$12345678$short", "$5$rounds=5000", "\345\257\206\347\240\202(hunter22)",
    "set_password(hunter22)", "newPassword(hunter22)", "PASSWORD(hunter22", "page(hunter22)",
    "mac=0a00270000012", "mac=0a0027000001_x", "mac: 0a002700", "zip-10-0-4-17 x",
    "ip-10-0-4-999 x", "p-10-0-4-17", "ip-10-0-4-17x", "-10-0-4-17", "ip-10-0-4",
    "09:00:01 web-4 cron: x", "09:00:01 web-4 cron[221] x", "09:00:01 web-4 cron[x]: y",
    "09:00:01 web-4 [221]: y", "09:00:01 web-4", "9:00:01 web-4 cron[1]: x",
    "09:00:01 web-4 cron[]: x", "barn:aws:iam::000000000042:user/x", "arn:azure:x:y:zzzzzzzz",
    "arn:aws:s3", "narn:aws", "a:aws", "n:aws:iam::000000000042:x", "auth=('a', x)",
    "login('only')", "auth=('a', 'open", "login('', '')", "getenv('HOME', 'x')",
    "password for a b c d is x1y2z3", "xssh ann@w", "1a@web1:~", "ann@web1:22", "a@@web1:/x",
    "sudo:  ann", "sudo: ann:x", "connect to nas-a (down)",
    "upgrade from 3.2.0.1", "0::/init", "sudo: command not found", "credentials: include",
    "password={{ vault_pw }}", "password=%s pw=%08x", "say(\"password: \" + x + \".\")",
    "label(password:\"Password:\")", "setPassword(arg1)", "12:00:01 INFO main[1]: x",
    "curl -u \"${a}\":\"${b}\"", "password:\n  at least 8", "mac_count=3", "pkg@npm:x",
    "The index was rebuilt in 12.5 ms", "version 1.2.3.4 loaded", "v1.2.3.4",
    "Chrome/126.0.0.0 Safari/537.36", "AssemblyVersion(\"4.0.0.0\")", "ChromaDB 1.2.3.4 ready",
    "OID 2.5.29.17", "1.2.3.4.5", "999.1.1.1", "localhost 127.0.0.1:80", "bind 0.0.0.0",
    "::1 and ::", "10:53:01,123", "12:34:56", "a::b::c<d>::e()", "std::vector<int>::at",
    "::operator new", "ns::cafe::babe", "ff:ff", "0000:00:1e.0 VGA", "Port 80:443", "ratio a:b",
    "1:2:3:4:5:6", "00:00:00:00:00:00", "2026-08-21T10:00:00Z",
    "7c9e6679-7425-40de-944b-e07fc1f90ae7", "@decorator", "foo@2x.png", "pkg@1.2.3", "a@b",
    "user@host", "C++@14", "and/or", "n/a", "TCP/IP", "10/20 done", "2026/08/21", "</div>",
    "// comment", "text/plain; charset=utf-8", "src/core/net.c:42", "GET / HTTP/1.1", "a//b",
    "/tmp", "C: is full", "C\\C++", "option -C: missing", "regex \\d+\\.\\d+", "\\x00\\x1f",
    "password-reset2", "pass-through2 mode", "compass-Hunter2x9", "primary key: row12345",
    "the key: user:12345:profile", "password was set to is unknown2",
    "line1\\nline2\\tend", "password is too short", "password: required", "invalid password",
    "no password supplied", "secret: null", "password=${DB_PASS}", "password=<hidden>",
    "password = get_password()", "pwd=%PWD%", "token=$TOKEN", "password: \"\"", "api_key = \"\"",
    "key=value&x=1", "API key is required", "key_length = XSalsa20.key_length",
    "secret_size: 4096", "token_count=12345678", "max_tokens: 81920000", "tokenizer: bert12345678",
    "primary_key=order_id_2026", "schemaKey = 'DOC_Vector_5_32'", "keyboard: layout_us_104",
    "monkey=banana12345", "author: jane12345678", "bypass=12345678", "compass: north12345",
    "passed: 120, failed: 3", "pass: 12 fail: 0", "pin: abc", "otp: soon",
    "Authorization header missing", "Authorization: required", "Bearer scheme required",
    "basic auth disabled", "Basic authentication failed", "token count exceeded", "Cookie: none",
    "cookie jar empty", "sk-learn-some-long-words-here", "ghp_short", "AKIA123",
    "hf_requiredCharacteristicTypesForFilter", "eyJ", "-----BEGIN nothing",
    "a3-2f5-b740-3eb56f14aa9984sh", "eAAAAAAA0000000000jw1IynJr",
    "scheme missing in ://", "http://", "http: not a URL", "std::cout << x",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "dim=1536 metric=cosine", "printf(\"%s:%d\\n\", f, l)", "CURLE_COULDNT_CONNECT(7)",
    "[ip] [path] [x] [[url]]", "sentence-transformers-all-MiniLM-L6-v2", "ORA-12541", "-12.75 dB",
    "<__main__.Foo object at 0x7f3c2a1b9d30>", "--password required", "design: final12345678",
    "\303\251t\303\251 \346\226\207\345\255\227", "%s %d %x", "no user@ here", "key: value",
    "50% off", "a=b=c==d", "''", "x = y ?: z",
};

/* The edges of the rules: one more or one less byte, digit or word makes the difference. */
static const scrub_case edges[] = {
    {"-u -AHH\\adm7 -pNebelz4471", "-u [user] -p[secret]"},
    {"dsn :secret1@tcp(db1)", "dsn :[secret])"},
    {"dsn=:pw12x@tcp(db1:3306)/x", "dsn=:[secret])/x"},
    {"mail x@a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.aa.bb.cc.dd.ee.ff.gg.com end",
     "mail [email].gg.com end"},
    {"dc1.local:389", "[host]:389"},
    {"x.local:80", "[host]:80"},
    {"node-1.rack.ai", "[host]"},
    {"x1.node.is", "[host]"},
    {"db-1.prod.at", "[host]"},
    {"foo.golang.org/x", "[host]"},
    {"github.org/x/y", "[host]"},
    {"example.com/x/y", "[host]"},
    {"_tcp.example.com", "_tcp.[host]"},
    {"_ldap._tcp.example.com", "_ldap._tcp.[host]"},
    {"_sip._udp.example.org", "_sip._udp.[host]"},
    {"a._udp.example.org not found", "a._udp.[host] not found"},
    {"*.example.com cert", "*.[host] cert"},
    {"._tcp.example.com", "._tcp.[host]"},
    {"see -db.example.com", "see -[host]"},
    {"jdbc:sqlite", "[url]"},
    {"jdbc:/x/y", "[url]"},
    {"'/a/b[ip]/c'", "'[path][ip]/c'"},
    {"open '/home/ann[ip]' x", "open '[path][ip]' x"},
    {"\"/srv/data [user]/x\" gone", "\"[path] [user]/x\" gone"},
    {"/a\\ b", "[path]"},
    {"\320\277\320\260\321\200\320\276\320\273\321\214: tainoe1",
     "\320\277\320\260\321\200\320\276\320\273\321\214: [secret]"},
    {"p/w: hunter22", "p/w: [secret]"},
    {"xp/w: hunter22", "xp/w: [secret]"},
    {"password: str = \"hunter22\"", "password: str = \"[secret]\""},
    {"key=\"Password\" value=\"hunter22\"", "key=\"Password\" value=\"[secret]\""},
    {"\"name\":\"PASSWORD\",\"value\":\"hunter2x\"",
     "\"name\":\"PASSWORD\",\"value\":\"[secret]\""},
    {"password='password'", "password='[secret]'"},
    {"password=passwordHash", "password=[secret]"},
    {"password=db_password", "password=[secret]"},
    {"password: passwd_", "password: [secret]"},
    {"password=my_dsn", "password=[secret]"},
    {"password=host_name", "password=[secret]"},
    {"password=login_name", "password=[secret]"},
    {"password=otp_code", "password=[secret]"},
    {"password=xapi_key", "password=[secret]"},
    {"X-Api-Key: abcd[id]", "X-Api-Key: [secret][id]"},
    {"X-Auth-Key: abc123  ", "X-Auth-Key: [secret]  "},
    {"x-functions-key: s3cret  \n next", "x-functions-key: [secret]  \n next"},
    {"curl -H \"X-Api-Key: abc12345\"", "curl -H \"X-Api-Key: [secret]\""},
    {"Authorization: Abcdefgh1 abcdefghijklmnop1", "Authorization: [secret]"},
    {"Authorization: Bearer abcdefghijkl", "Authorization: [secret]"},
    {"Authorization: abcdefgh1 abcdefghijklmnop1", "Authorization: [secret]"},
    {"authorization: Basic abcdefghijklmnop", "authorization: [secret]"},
    {"Authorization: Basic 123456 x", "Authorization: [secret]"},
    {"docker login -u 'user':'pw12'", "docker login -u '[secret]"},
    {"--user \"ann\":\"pw1\" x", "--user \"[secret] x"},
    {"-u \"ann\":\"s3cret\"", "-u \"[secret]"},
    {"-u 'ann':pw12 x", "-u '[secret] x"},
    {"curl -u \\\"ann\\\":\\\"pw\\\"", "curl -u \\\"[secret]"},
    {"password=\\\"abc\\\\\"def\\\" x", "password=\\\"[secret]\\\\\"def\\\" x"},
    {"password=\\\"abc\"def\\\" x", "password=\\\"[secret]\"def\\\" x"},
    {"password=@\"x\"", "password=@\"[secret]\""},
    {"PWD={a b(c)}", "PWD={[secret]}"},
    {"PWD={ab c}", "PWD={[secret]}"},
    {"PWD={ab}}c!}", "PWD={[secret]}"},
    {"Password={0x12, 0x34}", "Password={[secret]}"},
    {"host=db1 [ip]", "host=[host] [ip]"},
    {"node db7 failed", "node [host] failed"},
    {"user=bob(uid=1000)", "user=[user](uid=1000)"},
    {"user bob7(uid=12) failed", "user [user](uid=12) failed"},
    {"for user bob(uid=0)", "for user [user](uid=0)"},
    {"authenticated as bob(uid=5) by", "authenticated as [user](uid=5) by"},
    {"host=x.example.com:80/a", "host=[host]"},
    {"'bob'@'db-1'", "'[user]'@'[host]'"},
    {"'bob'@'%'", "'[user]'@'%'"},
    {"\"bob\"@\"10.0.0.8\"", "\"[user]\"@\"[ip]\""},
    {"{password=x1y2}", "{password=[secret]}"},
    {"$password=x1y2", "$password=[secret]"},
    {"#{password: \"abc1\"}", "#{password: \"[secret]\"}"},
    {"{user: bob7x}", "{user: [user]}"},
    {"a{host=db1}", "a{host=[host]}"},
    {"{host=db1}", "{host=[host]}"},
    {"password -> hunter2x", "password -> [secret]"},
    {"secret -> hunter2x", "secret -> [secret]"},
    {"password \\\"x1y2\\\"", "password \\\"[secret]\\\""},
    {"password of \"x1y2\"", "password of \"[secret]\""},
    {"password is \"x1y2\"", "password is \"[secret]\""},
    {"passwordis \"x1y2\"", "passwordis \"[secret]\""},
    {"PASSWORD as 'x1y2'", "PASSWORD as '[secret]'"},
    {"passwords by 'x1y2'", "passwords by '[secret]'"},
    {"-host db1", "-host [host]"},
    {"--host db1", "--host [host]"},
    {"--hostname=db1", "--hostname=[host]"},
    {"card 4111 1111 1111 1111", "card [card]"},
    {"4000 0000 0000 0000 006", "[card]"},
    {"4111-1111-1111-1111-110", "[card]"},
    {"card 4444444444444448", "card [card]"},
    {"ssn 123456789", "ssn [ssn]"},
    {"123-45-6789", "[ssn]"},
    {"ssn 123-45-6789", "ssn [ssn]"},
    {"imei 490154203237518", "imei [id]"},
    {"device id 490154203237518", "device id [id]"},
    {"(212) 555-0123", "[phone]"},
    {"tel (212) 555 0123", "tel ([phone]"},
    {"IBAN DE89370400440532013000", "IBAN [iban]"},
    {"DE89 3704 0044 0532 0130 00", "[iban]"},
    {"GB29NWBK60161331926819", "[iban]"},
    {"GB29 nwbk 6016 1331 9268 19", "[iban]"},
    {"NL91abna0417164300", "[iban]"},
    {"mysql -u root -pSecret1 db", "mysql -u root -p[secret] db"},
    {"mongo -p hunter22 x", "mongo -p [secret] x"},
    {"mongo -P x1 -u y", "mongo -P [secret] -u y"},
    {"plink -pw hunter22 host", "plink -pw [secret] host"},
    {"mongosh -P hunter22", "mongosh -P [secret]"},
    {"sqlcmd -P hunter22 -S x", "sqlcmd -P [secret] -S x"},
    {"sshpass -phunter22 ssh", "sshpass -p[secret] ssh"},
    {"sshpass -p hunter22 ssh", "sshpass -p [secret] ssh"},
    {"plink -pw hunter22", "plink -pw [secret]"},
    {"mysql -pw hunter2", "mysql -pw [secret]"},
    {"password hunter22", "password [secret]"},
    {"secret hunter22", "secret [secret]"},
    {"password accounts1", "password [secret]"},
    {"password admin12", "password [secret]"},
    {"password block12", "password [secret]"},
    {"password md5sum1", "password [secret]"},
    {"lookup db1 on 10.0.0.2", "lookup [host] on [ip]"},
    {"lookup db1: no such host", "lookup [host]: no such host"},
    {"lookup db1: server misbehaving", "lookup [host]: server misbehaving"},
    {"lookup db.example.com: server misbehaving", "lookup [host]: server misbehaving"},
    {"connect to host db1 failed", "connect to host [host] failed"},
    {"node db1 is down", "node [host] is down"},
    {"user bob7 failed", "user [user] failed"},
    {"user 'bob'", "user '[user]'"},
    {"login 'bob'", "login '[user]'"},
    {"user bob7x cannot", "user [user] cannot"},
    {"by user bob failed", "by user [user] failed"},
    {"as user bob", "as user [user]"},
    {"CORP\\ann", "[user]"},
    {"CORP\\\\ann", "[user]"},
    {"AUTHORITY\\nora", "[user]"},
    {"CORP\\ann(uid", "[user](uid"},
    {"-----BEGIN A_B-C KEY----- x", "[key]"},
    {"MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs", "[token]"},
    {"MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.znnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
     "[b64].Cl2FMQ.znnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"},
    {"MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FM.ZnCjm1XVW7vRze4b7Cq4se7kKWs", "[b64].Cl2FM.[b64]"},
    {"MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4", "[b64].Cl2FMQ.ZnCjm1XVW7vRze4"},
    {"MTk4NjIyNDgzNDcxOTI1MjQ4Nzc3Nzc3.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs", "[b64].Cl2FMQ.[b64]"},
    {"2uX9kQ4pLm7Zr3Tb8Vd1Wc6Yh5Ng0Js2Ef4Ka9Qt7Rz1Xv3Bm5AZDO4abc", "[b64]"},
    {"2uX9kQ4pLm7Zr3Tb8Vd1Wc6Yh5Ng0Js2Ef4Ka9Qt7Rz1JQQJ99BCACAAAAAAAAAAAAASAZDO3xYz", "[token]"},
    {"2uX9kQ4pLm7Zr3Tb8Vd1Wc6Yh5Ng0Js2Ef4Ka9QtAAAAAAAAAAAAJQQJ99BCACAAAAAAAAAAAAASAZDO3xYz",
     "[token]"},
    {"2uX9kQ4pLm7Zr3Tb8Vd1Wc6Yh5Ng0Js2Ef4Ka9Qt+AAAAAAAAAAAJQQJ99BCACAAAAAAAAAAAAASAZDO3xYz",
     "[token]"},
    {"2uX9kQ4pLm7Zr3Tb8Vd1Wc6Yh5Ng0Js2Ef4Ka9Qt/mmmmmmmmmmmJQQJ99BCACmmmmmmmmmmmmmSxxxx3xYz==",
     "[token]"},
    {"ab18Q~3nF7kLmP9qRsTuVwXyZ0123456789abcdX", "[token]"},
    {"requestTraceX=5d41402abc4b2a76b9719d911017c592", "requestTraceX=[hex]"},
    {"x=5d41402abc4b2a76b9719d911017c592", "x=[hex]"},
    {"%2Fhome%2Fann%20lee%2Fx.db", "[path]"},
    {"%2fsrv%2fdata%3Dx", "[path]%3Dx"},
    {"path=%2Fhome%2fann%20x%2fy", "path=[path]"},
    {"%20%2Fhome%2Fann", "%20[path]"},
};

/* What stands on the other side of these edges and stays, not always because it should: a change
   is to be seen. */
static const char *const beyond[] = {
    "2.5.4.3=CN",
    "2.5.4.10 is the organisation",
    "eui 00:11:22:33:44:55:66:77:88 is too long",
    "lot 0011.2233.4455",
    "com.example.App.main",
    "org.acme.de:8080",
    "io.test.de",
    "a.ai:8000",
    "app1.is:8080",
    "rack.node.id",
    "rack.node.is",
    "node.local is up",
    "app.dev.local",
    "db.at:5432",
    "db.prod.at",
    "github.com/x/y",
    "gitlab.com/x",
    "go.uber.org/zap",
    "x_example.com",
    "$x.example.com",
    "--.example.com",
    "-.example.com",
    "..example.com",
    "a.b[ip]",
    "x.example.[ip]",
    "db.example[ip]",
    "JDBC:x",
    "c:x",
    "mac:x",
    "file:x",
    "abc:foo",
    "jdbc:9",
    "doc:\\/x",
    "x-jdbc:oracle:thin",
    "1c:23",
    "..c:foo",
    "https:// [url]",
    "https://[url]",
    "http://.",
    "http://[url]x",
    "\\ /x",
    "\303\251: hunter22",
    ": hunter22",
    "x:y",
    "\303\251\303\251=geheim12",
    "a : str = \"hunter2x\"",
    ": str = \"x\"",
    ":str = \"hunter22x\"",
    "value=\"hunter2x\"",
    "password={{ vault_pw }}",
    "password={{x}}",
    "password=*****",
    "pwd={{y",
    "password: {{ pw }}",
    "passwd={{",
    "token={{ci_job_token1}}",
    "'password'",
    "x='password'",
    "password=user_password;",
    "key=api_key",
    "password=[secret]x",
    "password= [secret]",
    "password=a[secret]b",
    "X-Request-Key: abc [id] x",
    "X-Api-Key: 'abc123'",
    "Authorization: Custom abcdefghijklm",
    "Authorization: Custom abcdefghijkl mno",
    "Authorization: Foo abcdefghijklmnopqrst",
    "Authorization: Bearer abcdefghijkl x",
    "Authorization: Token abcdef",
    "Authorization: negotiate abcdefgh",
    "Authorization: Digest abcdefgh more",
    "-u 'ann' x",
    "-u \"ann\":[secret]",
    "password=\"",
    "password='",
    "PWD={abc\"d}",
    "PWD={a[b]}",
    "PWD={a b'c}",
    "PWD={ab [ip]}",
    "0x12",
    "host=0x7f",
    "host=db[ip]",
    "host: db-1[ip]",
    "server=db1(",
    "host=db1(",
    "connect to db[host]",
    "host: db_1",
    "host: 1db",
    "host: d1",
    "host: db1/x",
    "host: db_1/x",
    "peer 1a2",
    "node a_1 failed",
    "node db7/x failed",
    "node x1 failed",
    "user=bob(",
    "user bob99= failed",
    "for user bob[ip]",
    "user=bob=",
    "session opened for user bob=x",
    "authenticated as bob by",
    "authenticated as bob=",
    "authenticated as bob[id]",
    "'bob'@db",
    "x@'db1'",
    "u=bob",
    "&u=bob",
    "${u:=bob}",
    "${password:=x1y2}",
    "${user=bob}",
    "${password:-hunter2x}",
    "host->name",
    "user->name",
    "user -> bob",
    "host -> db1",
    "password->x1y2z",
    " -> x",
    "p -> x",
    "--> x",
    "x --> password",
    "password --> hunter2x",
    "of \"x\"",
    " of \"x1\"",
    "is \"abc\"",
    "-h db-1",
    "--h db1",
    "-H db1",
    "psql -h localhost -U ann",
    "4111111111111111111",
    "0000 0000 0000 0000",
    "4444 4444 4444 4444",
    "5555555555555555",
    "4000 0000 0000 0000",
    "6000 0000 0000 0000",
    "card 6666 6666 6666 6666",
    "3333 333333 33333",
    "card 3000 000000 0000",
    "ssn 12345678",
    "ssn 000123456",
    "ssn 666123456",
    "ssn 912345678",
    "ssn 123004567",
    "ssn 123450000",
    "000-12-3456",
    "666-12-3456",
    "900-12-3456",
    "123-00-4567",
    "123-45-0000",
    "123-456",
    "123456789",
    "social security number 123-45-6789x",
    "ssn: 123-45-6789-1",
    "999-99-9999",
    "ssn 1234",
    "123-45-678",
    "123-45-67890",
    "imei: 490154203237519",
    "490154203237518",
    "imei=490154203237518x",
    "(212) 5550-123",
    "(212) 555-012",
    "(212) 555.0123",
    "(212)5550123",
    "(21) 2555-0123",
    "(212) 555-01234",
    "IBAN DE89370400440532013001",
    "iban nl91abna0417164300",
    "mysql -u root -p db",
    "mysql -P 3306 -u root",
    "mysql -u root -PSecret1",
    "plink -P 22 host",
    "sshpass -Phunter22",
    "plink -p22 x",
    "mysql -p",
    "sshpass -Ph",
    "password hunter22=x",
    "password argon2id",
    "password base64",
    "secret sha256",
    "lookup db1",
    "lookup cannot on x",
    "lookup localhost on x",
    "lookup 0x1 on x",
    "role admin",
    "user layer3 failed",
    "by user bob knows",
    "user bo7 x",
    "user bob",
    "HKLM\\Software\\x",
    "HK\\ann",
    "CORP\\\\\\ann",
    "CORP\\an",
    "CORP\\\\an",
    "HKCU\\\\abc",
    "A\\ann.lee",
    "CORP\\nora failed",
    "NT AUTHORITY\\SYSTEM",
    "CORP\\ann\\x",
    "CORP\\d+x",
    "CORP\\accounts",
    "XCORP\\root1",
    "CORP\\ann= x",
    "CORP\\\\d+",
    "-----BEGIN aaaaaaaaaa-----",
    "-----BEGIN AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-----",
    "traceId 5d41402abc4b2a76b9719d911017c592",
    "commitX 5d41402abc4b2a76b9719d911017c592",
    "traceparent",
    "hashId: 5d41402abc4b2a76b9719d911017c592",
    "01010101010101010101010101010a1",
    "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",
    "key 0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0b",
    "x%2Fhome%2fann%2fx",
    "%2Fhome",
    "a%2Fb",
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The text scrubbed, in memory of exactly its size, as a string the caller frees. The input stands
   in memory of exactly its size too, so that a sanitizer sees every byte read beyond it. */
static char *scrubbed(const char *text, size_t size, const vitp_scrub_values *values,
                      size_t *length)
{
    char  *copy = (char *)malloc(size ? size : 1);
    char  *out;
    size_t kept;

    assert_non_null(copy);
    memcpy(copy, text, size);
    *length = vitp_scrub_text(NULL, 0, copy, size, values, &kept);
    assert_int_equal(kept, 0);
    out = (char *)malloc(*length + 1);
    assert_non_null(out);
    assert_int_equal(vitp_scrub_text(out, *length + 1, copy, size, values, &kept), *length);
    assert_int_equal(kept, *length);
    assert_int_equal(out[*length], 0);
    free(copy);
    return out;
}

static void expect(const char *text, const char *want, const vitp_scrub_values *values)
{
    size_t length;
    char  *got = scrubbed(text, strlen(text), values, &length);

    if (strcmp(got, want) != 0) fail_msg("%s\n  gives %s\n  not   %s", text, got, want);
    free(got);
}

static void replaces_what_it_should(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(positive); i++) {
        expect(positive[i].text, positive[i].scrubbed, NULL);
        expect(positive[i].scrubbed, positive[i].scrubbed, NULL);
    }
    for (i = 0; i < COUNT(edges); i++) {
        expect(edges[i].text, edges[i].scrubbed, NULL);
        expect(edges[i].scrubbed, edges[i].scrubbed, NULL);
    }
}

static void leaves_harmless_text(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(harmless); i++) expect(harmless[i], harmless[i], NULL);
    for (i = 0; i < COUNT(beyond); i++) expect(beyond[i], beyond[i], NULL);
}

static void every_marker_stays(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(vitp_scrub_markers); i++) {
        const char *marker = vitp_scrub_markers[i];
        char        text[200];

        assert_true(strlen(marker) <= 8);
        snprintf(text, sizeof text, "%s password=%s a@%s.com %s/b/c \"token\": \"%s\" C:\\%s",
                 marker, marker, marker, marker, marker, marker);
        expect(text, text, NULL);
    }
}

/* A table of words as tests read it. `word_fn` says where in a row its word begins. */
typedef struct table {
    const char *name;
    const char *const *words;
    const uint16_t *rows;
    size_t rows_count;
    const char *(*word_fn)(const char *row);
    unsigned (*bit_fn)(char second);
} table;

static const char *key_word(size_t row)
{
    return vitp_scrub_keys[row] + 1 + (vitp_scrub_keys[row][1] == '.');
}
static const char *signed_word(const char *row) { return row + strspn(row, "%0>#$@.:=;&/*+!-^"); }
static const char *opener_word(const char *row) { return row + 1; }
static const char *token_word(const char *row) { return row; }

static unsigned token_bit(char c) { return vitp_scrub_token_bit(c); }
static unsigned word_bit(char c) { return vitp_scrub_second(c); }

static const table lexicon = {"lexicon", vitp_scrub_lexicon, vitp_scrub_lexicon_rows,
                              COUNT(vitp_scrub_lexicon_rows), signed_word, word_bit};
static const table labels = {"label", vitp_scrub_labels, vitp_scrub_label_rows,
                             COUNT(vitp_scrub_label_rows), signed_word, word_bit};
static const table openers = {"opener", vitp_scrub_openers, vitp_scrub_opener_rows,
                              COUNT(vitp_scrub_opener_rows), opener_word, word_bit};
static const table tokens = {"token", vitp_scrub_tokens, vitp_scrub_token_rows,
                             COUNT(vitp_scrub_token_rows), token_word, token_bit};

/* The next row of all the table, behind `row`, or the first one. NULL: there is none. */
static const char *next_row(const table *t, size_t *letter, const char *row)
{
    if (row) row = vitp_scrub_next_row(row);
    else *letter = 0, row = t->words[0];
    while (!*row && *letter < 25) row = t->words[++*letter];
    return *row ? row : NULL;
}

#define EACH_ROW(row, t) \
    for (row = next_row(t, &letter, NULL); row; row = next_row(t, &letter, row))

/* A prefix does not hide a longer one after it. */
static void longer_tokens_stand_first(void **state)
{
    const char *row, *before;
    size_t letter;

    (void)state;
    EACH_ROW(row, &tokens) {
        size_t size = strcspn(row, ":");

        assert_true(size > 2); /* three bytes are compared at once */
        for (before = tokens.words[letter]; before < row; before = vitp_scrub_next_row(before))
            if (strcspn(before, ":") <= size && strncmp(before, row, strcspn(before, ":")) == 0)
                fail_msg("%s stands behind %s", row, before);
    }
}

/* Shows the numbers as the header should have them. */
static void show(const char *name, const char *part, const uint64_t *numbers, size_t count,
                 const char *format)
{
    size_t i;

    fprintf(stderr, "vitp_scrub_%s_%s:\n", name, part);
    for (i = 0; i < count; i++) {
        fprintf(stderr, format, (unsigned long long)numbers[i]);
        fprintf(stderr, i + 1 < count ? ", " : "\n");
    }
}

static void has_numbers(const char *name, const char *part, const uint64_t *want, size_t count,
                        const uint64_t *have, size_t have_count, const char *format)
{
    if (count == have_count && memcmp(want, have, count * sizeof *want) == 0) return;
    show(name, part, want, count, format);
    fail_msg("vitp_scrub_%s_%s does not fit its words", name, part);
}

/* Which two letters a word may begin with, and where the words of each two are. */
static void fits_its_index(const table *t, const uint64_t seconds[26])
{
    uint64_t bits[26] = {0}, want[26 * 28], rows[26 * 28], bit;
    size_t pairs = 26, letter, i;
    const char *row, *word;

    for (letter = 0; letter < 26; letter++) {
        want[letter] = pairs;
        for (row = t->words[letter]; *row; row = vitp_scrub_next_row(row)) {
            word = t->word_fn(row);
            assert_int_equal(word[0] & 31, letter + 1);
            bit = UINT64_C(1) << t->bit_fn(word[1]);
            if (bits[letter] / 2 >= bit) fail_msg("%s stands too late", row);
            if (!(bits[letter] & bit)) want[pairs++] = (uint64_t)(row - t->words[letter]);
            bits[letter] |= bit;
        }
    }
    for (i = 0; i < t->rows_count; i++) rows[i] = t->rows[i];
    has_numbers(t->name, "seconds", bits, 26, seconds, 26, t == &tokens ? "0x%016llx" : "0x%08llx");
    has_numbers(t->name, "rows", want, pairs, rows, t->rows_count, "%llu");
}

/* The same of the names of values, whose rows have numbers. */
static void keys_fit_their_index(void)
{
    uint64_t bits[26] = {0}, seconds[26], want[26 * 28], rows[26 * 28], bit;
    size_t pairs = 26, row = 0, letter, i;

    for (letter = 0; letter < 26; letter++)
        for (want[letter] = pairs;
             row < COUNT(vitp_scrub_keys) && (size_t)(key_word(row)[0] & 31) == letter + 1; row++) {
            bit = UINT64_C(1) << word_bit(key_word(row)[1]);
            if (bits[letter] / 2 >= bit) fail_msg("%s stands too late", vitp_scrub_keys[row]);
            if (!(bits[letter] & bit)) want[pairs++] = row;
            bits[letter] |= bit;
        }
    assert_int_equal(row, COUNT(vitp_scrub_keys));
    want[pairs++] = row;
    for (i = 0; i < 26; i++) seconds[i] = vitp_scrub_key_seconds[i];
    for (i = 0; i < COUNT(vitp_scrub_key_rows); i++) rows[i] = vitp_scrub_key_rows[i];
    has_numbers("key", "seconds", bits, 26, seconds, 26, "0x%08llx");
    has_numbers("key", "rows", want, pairs, rows, COUNT(vitp_scrub_key_rows), "%llu");
}

static void words_fit_their_index(const table *t, const uint32_t seconds[26])
{
    uint64_t wide[26];
    size_t letter;

    for (letter = 0; letter < 26; letter++) wide[letter] = seconds[letter];
    fits_its_index(t, wide);
}

static void tokens_fit_their_thirds(void)
{
    uint64_t thirds[26] = {0};
    const char *row;
    size_t letter;

    EACH_ROW(row, &tokens) thirds[letter] |= UINT64_C(1) << token_bit(row[2]);
    has_numbers("token", "thirds", thirds, 26, vitp_scrub_token_thirds, 26, "0x%016llx");
}

/* How an opener goes on behind its first letters: with a blank, or not. */
static void openers_fit_their_lengths(void)
{
    uint64_t others[26] = {0}, lengths[26] = {0}, thirds[26] = {0};
    uint64_t have_others[26], have_lengths[26], have_thirds[26];
    size_t letter, size;
    const char *row;

    EACH_ROW(row, &openers) {
        const char *word = opener_word(row);

        thirds[letter] |= UINT64_C(1) << word_bit(word[2]);
        for (size = 0; vitp_text_is_lower(word[size]);) size++;
        if (word[size] == ' ') {
            assert_in_range(size, 2, 15);
            lengths[letter] |= UINT64_C(1) << size;
        } else {
            others[letter] |= UINT64_C(1) << (word[1] & 31);
        }
    }
    for (letter = 0; letter < 26; letter++) {
        have_others[letter] = vitp_scrub_opener_others[letter];
        have_lengths[letter] = vitp_scrub_opener_lengths[letter];
        have_thirds[letter] = vitp_scrub_opener_thirds[letter];
    }
    has_numbers("opener", "thirds", thirds, 26, have_thirds, 26, "0x%08llx");
    has_numbers("opener", "others", others, 26, have_others, 26, "0x%08llx");
    has_numbers("opener", "lengths", lengths, 26, have_lengths, 26, "0x%04llx");
}

static void tables_fit_their_indexes(void **state)
{
    (void)state;
    openers_fit_their_lengths();
    tokens_fit_their_thirds();
    keys_fit_their_index();
    words_fit_their_index(&lexicon, vitp_scrub_lexicon_seconds);
    words_fit_their_index(&labels, vitp_scrub_label_seconds);
    words_fit_their_index(&openers, vitp_scrub_opener_seconds);
    fits_its_index(&tokens, vitp_scrub_token_seconds);
}

/* Names in other languages, read forwards, with something before them and as all there is. */
static void foreign_words_are_found(void **state)
{
    size_t i, n, k;

    (void)state;
    for (i = 0; i < COUNT(vitp_scrub_foreign_words); i++) {
        const char *row = vitp_scrub_foreign_words[i];
        char        text[64] = "a\x9A";
        vitp_scrub  scrub;

        memset(&scrub, 0, sizeof scrub);
        n = strlen(row + 1);
        for (k = 0; k < n; k++) text[2 + k] = row[n - k];
        scrub.text = text;
        assert_int_equal(vitp_scrub_foreign(&scrub, 2 + n), row[0]);
        assert_int_equal(vitp_scrub_foreign(&scrub, 2 + n - 1), 0);
        scrub.floor = 2;
        assert_int_equal(vitp_scrub_foreign(&scrub, 2 + n), row[0]);
        scrub.floor = 3;
        assert_int_equal(vitp_scrub_foreign(&scrub, 2 + n), 0);
    }
}

/* Every prefix with the least body of its alphabet, and with a byte less. */
static void tokens_need_their_length(void **state)
{
    const char *row;
    size_t letter, j;

    (void)state;
    EACH_ROW(row, &tokens) {
        size_t size = strcspn(row, ":"), length;
        size_t least = (size_t)strtoul(row + size + 1, NULL, 10);
        char kind = row[size + 3];
        const char *marker = kind == 'k' ? "[key]" : strchr("je", kind) ? "[jwt]" : "[token]";
        bool small = (vitp_scrub_alphabet(kind) >> vitp_scrub_class['a']) & 1u;
        const char *body = small ? "a0b1c2" : "Z0Y1X2";
        char text[120], *got;

        assert_non_null(memchr("abcdehjklpsuw", kind, 13));
        assert_int_equal(row[size + 4], ','); /* two digits and a letter */
        memcpy(text, row, size);
        for (j = 0; j < least; j++) text[size++] = body[j % 6];
        text[size] = '\0';
        expect(text, marker, NULL);
        text[size - 1] = '\0'; /* now it is no more than a long run, or nothing */
        got = scrubbed(text, size - 1, NULL, &length);
        assert_string_not_equal(got, marker);
        free(got);
    }
}

/* Signs, then a word, whose first letter is small, and a comma. */
static void has_signs(const table *t, const char *signs)
{
    const char *row, *word;
    size_t letter;

    EACH_ROW(row, t) {
        word = t->word_fn(row);
        assert_true(word > row && word[0] >= 'a' && word[0] <= 'z');
        assert_non_null(strchr(row, ','));
        for (; row < word; row++)
            if (!strchr(signs, *row)) fail_msg("sign %c of %s", *row, word);
    }
}

/* Are the words of a text sorted? None is there twice, but openers may be. */
static void is_sorted(const table *t)
{
    const char *row, *word, *last;
    size_t letter;

    for (letter = 0; letter < 26; letter++)
        for (row = t->words[letter], last = NULL; *row; row = vitp_scrub_next_row(row)) {
            word = t->word_fn(row);
            if (last && strncmp(last, word, strcspn(word, ",") + 1) >= (t == &openers))
                fail_msg("%s", last);
            last = word;
        }
}

static void words_are_well_formed(void **state)
{
    const char *row;
    size_t letter, i;

    (void)state;
    is_sorted(&lexicon);
    is_sorted(&labels);
    is_sorted(&openers);
    for (i = 0; i < COUNT(vitp_scrub_keys); i++) {
        assert_non_null(strchr("+?/#&!-@~:", vitp_scrub_keys[i][0]));
        assert_true(vitp_text_is_lower(key_word(i)[0]));
        assert_true(key_word(i)[1] == '$' || vitp_text_is_lower(key_word(i)[1]));
        assert_non_null(memchr(vitp_scrub_keys[i], '\0', sizeof *vitp_scrub_keys));
    }
    EACH_ROW(row, &openers) assert_true(vitp_text_is_lower(opener_word(row)[1])); /* by the index */
    has_signs(&lexicon, "%0>#$@.:=;&/*+!");
    has_signs(&labels, "+-^/.");
    has_signs(&openers, "@*?&+`'!$%<>^:~|-#;");
}

/* ---- cutting */

/* Is it valid UTF-8? (Lead bytes and continuation bytes; enough for texts that were valid.) */
static bool is_utf8(const char *text, size_t size)
{
    size_t i, more = 0;

    for (i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if (more ? (c & 0xC0u) != 0x80u : (c & 0xC0u) == 0x80u) return false;
        if (more) more--;
        else more = c >= 0xF0u ? 3 : c >= 0xE0u ? 2 : c >= 0xC0u ? 1 : 0;
    }
    return more == 0;
}

/* No marker of the whole text is cut: the part has as many [ as ]. (The texts have no others.) */
static bool markers_are_whole(const char *text, size_t size)
{
    size_t i, open = 0;

    for (i = 0; i < size; i++) {
        open += text[i] == '[';
        open -= text[i] == ']';
    }
    return open == 0;
}

static void cuts_between_characters_and_markers(void **state)
{
    static const char *const texts[] = {
        "",
        "plain",
        "ann@example.com",
        "f\303\274r ann@example.com \346\226\207\345\255\227 10.0.0.9 \360\237\224\221 end",
        "\360\237\224\221\360\237\224\221/home/ann/x\303\251",
        "x [email] password=abc\303\251 [ip]",
        "https://a.example/b\nhttps://a.example/c",
    };
    size_t i, room;

    (void)state;
    for (i = 0; i < COUNT(texts); i++) {
        size_t size = strlen(texts[i]);
        size_t length, before = 0;
        char  *whole = scrubbed(texts[i], size, NULL, &length);

        for (room = 0; room <= length + 1; room++) {
            char  *out = (char *)malloc(room ? room : 1);
            size_t kept;

            assert_non_null(out);
            assert_int_equal(vitp_scrub_text(out, room, texts[i], size, NULL, &kept), length);
            assert_true(room ? kept < room && out[kept] == '\0' : kept == 0);
            assert_memory_equal(out, whole, kept);
            assert_true(is_utf8(out, kept) && markers_are_whole(out, kept));
            assert_true(kept >= before);
            assert_true(room <= length || kept == length);
            before = kept;
            free(out);
        }
        free(whole);
    }
}

static void writes_nothing_after_what_does_not_fit(void **state)
{
    char   out[8];
    size_t kept;

    (void)state;
    assert_int_equal(vitp_scrub_text(out, 8, "ab 10.0.0.9 c", 13, NULL, &kept), 9);
    assert_int_equal(kept, 7);
    assert_string_equal(out, "ab [ip]");
    assert_int_equal(vitp_scrub_text(out, 7, "ab 10.0.0.9 c", 13, NULL, &kept), 9);
    assert_int_equal(kept, 3);
    assert_string_equal(out, "ab ");
    assert_int_equal(vitp_scrub_text(out, 8, "abcdef\303\251g", 9, NULL, &kept), 9);
    assert_int_equal(kept, 6);
}

static void public_call_takes_nothing(void **state)
{
    char out[16];

    (void)state;
    assert_int_equal(vit_scrub(NULL, 0, NULL, 7), 0);
    assert_int_equal(vit_scrub(out, sizeof out, NULL, 7), 0);
    assert_string_equal(out, "");
    assert_int_equal(vit_scrub(out, sizeof out, "a@b.cd!", 7), 8);
    assert_string_equal(out, "[email]!");
    assert_int_equal(vit_scrub(out, 1, "a@b.cd!", 7), 8);
    assert_string_equal(out, "");
    assert_int_equal(vit_scrub(NULL, 0, "a@b.cd!", 7), 8);
    assert_int_equal(vit_scrub(NULL, sizeof out, "a@b.cd!", 7), 8);
}

/* ---- bytes that are no text */

static void keeps_zero_bytes(void **state)
{
    static const char text[] = "a\0 10.0.0.9\0/home/ann/x\0password=x\0\0";
    static const char want[] = "a\0 [ip]\0[path]\0password=[secret]\0\0";
    size_t            length;
    char             *got;

    (void)state;
    got = scrubbed(text, sizeof text, NULL, &length);
    assert_int_equal(length, sizeof want);
    assert_memory_equal(got, want, length);
    free(got);
}

static void keeps_invalid_utf8(void **state)
{
    static const scrub_case cases[] = {
        {"\377\376 10.0.0.9 \200", "\377\376 [ip] \200"},
        {"\300 x=\355\240\200 \364\220\200\200", "\300 x=\355\240\200 \364\220\200\200"},
        {"\200\200\200\200\200", "\200\200\200\200\200"},
    };
    size_t i, room, kept;
    char   out[64];

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        expect(cases[i].text, cases[i].scrubbed, NULL);
        for (room = 0; room < 40; room++)
            assert_int_equal(
                vitp_scrub_text(out, room, cases[i].text, strlen(cases[i].text), NULL, &kept),
                strlen(cases[i].scrubbed));
    }
}

/* ---- known values */

static vitp_scrub_core  cores[3][3];
static vitp_scrub_value known_values[] = {
    { "ann_lee", 7, "[user]", true, NULL },
    { "buildbox-7", 10, "[host]", true, NULL },
    { "/home/ann_lee", 13, "[path]", true, NULL },
    { "bob", 3, "[user]", true, NULL },
    { "s3cr3t value", 12, "[secret]", false, cores[0] },
    { "S3CR3T", 6, "[secret]", false, cores[1] },
    { "Key=", 4, "[secret]", false, cores[2] },
};

static void encode_values(void)
{
    size_t i, k;

    for (i = 0; i < 3; i++)
        for (k = 0; k < 3; k++)
            vitp_scrub_encode(&cores[i][k], known_values[4 + i].text, known_values[4 + i].size, k);
}

static void replaces_known_values(void **state)
{
    static const scrub_case cases[] = {
        {"user ann_lee on buildbox-7", "user [user] on [host]"},
        {"ANN_LEE@BuildBox-7", "[user]@[host]"},
        {"ann_lee2 xann_lee ann_lee_", "ann_lee2 xann_lee ann_lee_"},
        {"\303\251ann_lee", "\303\251ann_lee"},
        {"ann_lee@example.com", "[email]"},
        {"ann_lee.x@example.com", "[email]"},
        {"/home/ann_lee/x/y", "[path]"},
        {"cd /home/ann_lee", "cd [path]"},
        {"bob is short", "bob is short"},
        {"xS3CR3Ty s3cr3t value", "x[secret]y [secret]"},
        {"s3cr3t Value S3CR3t", "s3cr3t Value S3CR3t"},
        {"password=s3cr3t value", "password=[secret]"},
        {"--token s3cr3t value!", "--token [secret]!"},
        {"https://x.example/s3cr3t value/y", "[url]/y"},
        {"[user] ann_lee", "[user] [user]"},
        {"aKey=b", "a[secret]b"},
        {"\\nann_lee (ann_lee)", "\\n[user] ([user])"},
    };
    vitp_scrub_values values;
    size_t            i;

    (void)state;
    vitp_scrub_values_init(&values, known_values, COUNT(known_values));
    for (i = 0; i < COUNT(cases); i++) {
        expect(cases[i].text, cases[i].scrubbed, &values);
        expect(cases[i].scrubbed, cases[i].scrubbed, &values);
    }
}

static void takes_the_longest_value(void **state)
{
    static const vitp_scrub_value list[] = {
        {"abcd", 4, "[user]", true, NULL},
        {"abcd-ef", 7, "[host]", true, NULL},
        {"", 0, "[id]", false, NULL},
    };
    vitp_scrub_values values;

    (void)state;
    vitp_scrub_values_init(&values, list, 3);
    expect("abcd abcd-ef", "[user] [host]", &values);
    vitp_scrub_values_init(&values, NULL, 0);
    expect("abcd abcd-ef", "abcd abcd-ef", &values);
}

/* A secret is known in each spelling: escapes of JSON and of URLs, base64 at any place, + for a
   blank. */
static void knows_values_in_any_spelling(void **state)
{
    static vitp_scrub_core  encoded[4][3];
    static vitp_scrub_value list[] = {
        {"k\360\237\224\221 \303\251\342\202\254 x1", 0, "[secret]", false, encoded[0]},
        {">k3y value", 0, "[secret]", false, encoded[1]},
        {"o\303\251?secret9", 0, "[secret]", false, encoded[2]},
        {"\317\200~secret99", 0, "[secret]", false, encoded[3]},
        {"C:\\nora\\x y", 0, "[path]", true, NULL},
        {"9-Ann Lee", 0, "[user]", true, NULL},
        {"Nora Lee", 0, "[user]", true, NULL},
        {" two words", 0, "[secret]", false, NULL},
        {"(cell-7)", 0, "[host]", true, NULL},
    };
    static const scrub_case cases[] = {
        {"v=k\\ud83d\\udd11 \\u00e9\\u20ac x1;", "v=[secret];"},
        {"v=k\\uD83D\\uDD11+%C3%A9%e2%82%ac%20x1;", "v=[secret];"},
        {"v=k\\ud83d\\udd12 \\u00e9\\u20ac x1;", "v=k\\ud83d\\udd12 \\u00e9\\u20ac x1;"},
        {"v=k\\ud83d", "v=k\\ud83d"},
        {"v=k\\ud83dudd11xxxxxx", "v=k\\ud83dudd11xxxxxx"},
        {"v=k\\ud83d\\udd1x yyyy", "v=k\\ud83d\\udd1x yyyy"},
        {"v=%3Ek3y+value.", "v=[secret]."},
        {"v=\\u003ek3y\\u0020value.", "v=[secret]."},
        {"in C:\\nora\\x y, and C:\\\\nora\\\\x+y", "in [path], and [path]"},
        {"by 9-Ann Lee and 9-ann+lee", "by [user] and [user]"},
        {"by nora lee, NORA LEE, nora", "by [user], [user], nora"},
        {"a two words, a+two+words, a two  words", "a[secret], a[secret], a two  words"},
        {"on (cell-7)x and \\u0028cell-7\\u0029", "on [host]x and [host]"},
        {"\\u00e9Nora Lee, %20Nora Lee, xNora Lee", "\\u00e9[user], %20[user], xNora Lee"},
    };
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    vitp_scrub_values values;
    size_t            i, k, before;

    (void)state;
    for (i = 0; i < COUNT(list); i++) list[i].size = (uint32_t)strlen(list[i].text);
    for (i = 0; i < 4; i++)
        for (k = 0; k < 3; k++)
            vitp_scrub_encode(&encoded[i][k], list[i].text, list[i].size, k);
    vitp_scrub_values_init(&values, list, COUNT(list));
    for (i = 0; i < COUNT(cases); i++) expect(cases[i].text, cases[i].scrubbed, &values);
    for (i = 0; i < 4; i++)
        for (before = 0; before < 3; before++) { /* base64 of URLs */
            unsigned char raw[32] = { 0 };
            char          text[64];
            size_t        n = 0;

            memcpy(raw + before, list[i].text, list[i].size);
            text[n++] = '=';
            for (k = 0; k < before + list[i].size; k += 3) {
                uint32_t three = (uint32_t)raw[k] << 16 | (uint32_t)raw[k + 1] << 8 | raw[k + 2];

                text[n++] = letters[three >> 18];
                text[n++] = letters[three >> 12 & 63u];
                text[n++] = letters[three >> 6 & 63u];
                text[n++] = letters[three & 63u];
            }
            text[n] = '\0';
            assert_true(vitp_scrub_holds_secret(&values, text, n));
            text[n / 2] = text[n / 2] == 'a' ? 'b' : 'a';
            assert_false(vitp_scrub_holds_secret(&values, text, n));
        }
}

/* A secret that holds what could be an escape of % or of a backslash: who wrote the text escaped
   each of them, or none, beside other bytes that are escaped. */
static void knows_escapes_in_secrets(void **state)
{
    static vitp_scrub_core  encoded[4][3];
    static vitp_scrub_value list[] = {
        {"kq\"w%25x9m", 0, "[secret]", false, encoded[0]},
        {"C:\\\\srv x%25", 0, "[secret]", false, encoded[1]},
        {"%25%25%25 7zq", 0, "[secret]", false, encoded[2]},
        {"\\u005czq 8/%2525", 0, "[secret]", false, encoded[3]},
    };
    static const scrub_case cases[] = {
        {"v=kq\\\"w%25x9m.", "v=[secret]."}, /* JSON leaves %25 */
        {"v=kq%22w%2525x9m.", "v=[secret]."},
        {"v=kq\\u0022w\\u002525x9m.", "v=[secret]."},
        {"v=kq\\\"w%26x9m.", "v=kq\\\"w%26x9m."},
        {"v=C:\\\\srv%20x%25.", "v=[secret]."}, /* and who escapes for URLs a backslash */
        {"v=C:\\\\srv%20x%2525.", "v=[secret]."},
        {"v=C:\\\\\\\\srv\\u0020x%25.", "v=[secret]."},
        {"v=C:%5C%5csrv+x%2525.", "v=[secret]."},
        {"v=%25%25%25%207zq.", "v=[secret]."},
        {"v=%2525%2525%2525+7zq.", "v=[secret]."},
        {"v=\\u005czq 8\\/%2525.", "v=[secret]."},
        {"v=\\\\u005czq 8\\/%2525.", "v=[secret]."},
        {"v=\\\\u005czq%208/%252525.", "v=[secret]."},
    };
    vitp_scrub_values values;
    size_t            i, k;

    (void)state;
    for (i = 0; i < COUNT(list); i++) {
        list[i].size = (uint32_t)strlen(list[i].text);
        for (k = 0; k < 3; k++)
            vitp_scrub_encode(&encoded[i][k], list[i].text, list[i].size, k);
    }
    vitp_scrub_values_init(&values, list, COUNT(list));
    for (i = 0; i < COUNT(cases); i++) expect(cases[i].text, cases[i].scrubbed, &values);
}

/* ---- the same again */

static uint64_t seed;

static size_t dice(size_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t)((seed >> 11) % n);
}

static const char *const fragments[] = {
    "a", "b", "f", "1", "12", "255", "10.0.0.1", "1.2.3.4", "::", "::1", "fe80::1", "2001:db8::1",
    "fe80:", "ab:", "00:1a:2b:3c:4d:5e", "00-1A-2B-3C-4D-5E", "aabb.ccdd.eeff", ".", ",", ";", ":",
    "@", "/", "//", "\\", "\\\\", "-", "--", "_", "=", "==", ":=", "=>", "!=", "\"", "'", "`", "(",
    ")", "[", "]", "{", "}", "<", ">", "&", "%", "$", "~", "|", "?", "#", " ", " ", "  ", "\n",
    "\t", "\\n", "\\\"", "\\/", "x@y.com", "ann_lee@example.com", "@example.com", "bob@", ".com",
    ".png", "user", "password", "passwd", "token", "api_key", "api key", "key", "secret", "pwd",
    "pin", "otp", "Cookie", "Authorization", "Bearer ", "Basic ", "token ", "PASSWORD ",
    "IDENTIFIED BY ", "hunter2", "abcdefgh1", "abcdefgh", "12345678", "true", "count", "is",
    "https://", "http://a/b", "file:/", "jdbc:", "/home/ann_lee", "/a/b", "/a", "a/b", "~/x",
    "$HOME", "${HOME}", "%APPDATA%", "C:\\", "C:/", "C:\\a b\\c.txt", "\\\\host\\share",
    "\\\\?\\", "Program Files", "x.txt", "ghp_", "ghp_" "abcdefghij0123456789", "sk-",
    "sk-" "abcdefghij0123456789", "AKIA", "AKIA" "IOSFODNN7EXAMPL1", "eyJ",
    "eyJ" "hbGciOiJI.eyJzdWIi.abc", "-----BEGIN ", "-----BEGIN A-----", "-----END A-----",
    "-----", "[ip]", "[email]", "[secret]", "[path]", "[url]", "[user]", "[host]", "[token]",
    "[jwt]", "[key]", "[mac]", "[id]", "[b64]", "[x]", "[ip", "ip]", "version", "Chrome/",
    "127.0.0.1", "ann_lee", "Ann_Lee", "buildbox-7", "S3CR3T", "s3cr3t value", "\303\274",
    "\346\226\207", "\360\237\224\221", "\377", "\200", "\033[93m", "%40", "%3D", "${X}", "$X",
    "foo(", "a.b.c", "xn--", "--password ", "--token ", "-u ", "0", "00", "ff", "%eth0", "/24",
    ":80", "@2x.png", "user ", "user '", "for user ", "invalid user ", "host ", "host='", "host=",
    "User Id=", "uid=", "login ", "login=", "server at ", "lookup ", " on ", "node ", "not known: ",
    "ENOTFOUND ", "psexec ", "mysql ", "docker login ", " -p ", " -px", "db-1.example.com",
    "a.example.io:80", "example.com", ".local", "x.internal", "ACME\\jdoe", "AUTHORITY\\", "4111",
    "4111 1111 1111 1111", "378282246310005", "-1111", "078-05-1120", "ssn ", "phone: ",
    "+49 30 1234567", "(415) 555-0132", "+1", "DE89370400440532013000", "GB29 NWBK 6016",
    "IMEI 490154203237518", "490154203237518", "deadbeef", "0123456789abcdef0123456789abcdef",
    "sha256:", "0x", "Ab3Cd9Ef2Gh5Ij8Kl1Mn4", "Zx9", "qW3eR5tY7uI9oP1aS3dF5", "123456789:AA",
    "<password>", "</password>", "&gt;", "<host>", "{x;y}", "{a}", "{", "}", "%2F", "%2Fhome%2Fann",
    "\302\245", "\302\245Users\302\245ann", "value=\"", "key=\"Password\" ", "passwd: str = ",
    "X-Api-Key: ", "p/w: ", "\033[1m", "\320\277\320\260\321\200\320\276\320\273\321\214", ":: ",
    /* longer than what is read again before a span */
    " the index was rebuilt in the background and queries kept running while the oldest of the "
    "segments with few deletions were merged later than others, most of it was spent on disk and "
    "memory grew slowly at first and then stayed where it was until the third attempt of five, "
    "so the result of the search was ",
    "U0VDUkVU", "UzNDUjNU", "%53", "\\u0053", "3CR3T", "xoxb-", "Q~", "abc8Q~", "[phone]", "[card]",
    "[hex]", "[ssn]", "[iban]", "key ", "b64", "os.environ", "self.x", "hf_", "\r\n",
};

static size_t random_text(char *text, size_t room)
{
    size_t parts = 1 + dice(12);
    size_t size = 0;

    while (parts--) {
        const char *part = fragments[dice(COUNT(fragments))];
        size_t      n = strlen(part);

        if (size + n > room) break;
        memcpy(text + size, part, n);
        size += n;
        if (dice(12) == 0 && size < room) text[size++] = (char)dice(256);
    }
    return size;
}

static void scrubbing_twice_changes_nothing(void **state)
{
    vitp_scrub_values values;
    unsigned          round;

    (void)state;
    seed = UINT64_C(88172645463325252);
    vitp_scrub_values_init(&values, known_values, COUNT(known_values));
    for (round = 0; round < 200000; round++) {
        char   text[700];
        size_t size = random_text(text, sizeof text);
        size_t once_length, twice_length;

        const vitp_scrub_values *use = round % 2 ? &values : NULL;
        char                    *once = scrubbed(text, size, use, &once_length);
        char                    *twice = scrubbed(once, once_length, use, &twice_length);

        if (twice_length != once_length || memcmp(once, twice, once_length) != 0)
            fail_msg("round %u: %.*s\n  then %s\n  then %s", round, (int)size, text, once, twice);
        assert_true(once_length <= size + 8 * size);
        free(once);
        free(twice);
    }
}

/* What goes at the end of a long text in quotes, or in the next line, changes nothing that was
   decided at its beginning. */
static void what_goes_far_away_changes_nothing(void **state)
{
    static const char *const keys[] = {"password: ", "password = [", "secret ", "-u x -p",
                                       "mysql -p", "password: |\n  ", "password:\n  ",
                                       "password for x is "};
    static const char *const gone[] = {" a@b.com", " 10.0.0.9", " /home/x/y"};
    static const char *const ends[] = {":'", ".'", "\\'", "' not found", "',\"code\":3", ""};
    static const size_t sizes[] = {20, 100, 200, 300, 600};
    size_t i, j, k, n;

    (void)state;
    for (i = 0; i < COUNT(keys) * COUNT(sizes); i++)
        for (j = 0; j < COUNT(gone) * COUNT(ends); j++) {
            char text[800], filler[601], *once, *twice;
            size_t once_length, twice_length;

            n = sizes[i % COUNT(sizes)];
            for (k = 0; k < n; k++) filler[k] = "A bcdefghij"[k % 11];
            filler[n] = '\0';
            snprintf(text, sizeof text, "%s'%s%s%s", keys[i / COUNT(sizes)], filler,
                     gone[j / COUNT(ends)], ends[j % COUNT(ends)]);
            once = scrubbed(text, strlen(text), NULL, &once_length);
            twice = scrubbed(once, once_length, NULL, &twice_length);
            if (strcmp(once, twice) != 0) fail_msg("%s\n  then %s\n  then %s", text, once, twice);
            free(once);
            free(twice);
        }
}

/* ---- long and hostile */

static void hostile_text_is_only_slow_to_type(void **state)
{
    static const char *const hostile[] = {
        "@", ":", "/", "=", "-", "\"", "'", "\\", "[", "a@", "a:", "a/", "a=", "1.", "1:", "::",
        "-----BEGIN ", "-----BEGIN A-----", "eyJ", "eyJ.", "password=", "password: ", "key=",
        "key: ", "key=\"", "key='a''", "\"key\":", "Cookie:", "https://", "a://", "C:\\", "sk-",
        "/a b", "a@b.", "\303\251", "\200", "Bearer a", "--token ", "[ip]", "%40", "x \"",
    };
    const size_t size = 1u << 20;
    char        *text = (char *)malloc(size);
    char        *out = (char *)malloc(9 * size + 1);
    size_t       i, at, kept;

    (void)state;
    assert_true(text && out);
    for (i = 0; i < COUNT(hostile); i++) {
        size_t n = strlen(hostile[i]);

        for (at = 0; at < size; at++) text[at] = hostile[i][at % n];
        assert_true(vitp_scrub_text(out, 9 * size + 1, text, size, NULL, &kept) <= 9 * size);
        assert_int_equal(out[kept], 0);
    }
    free(text);
    free(out);
}

/* Where each marker lets what stands before it be claimed, that does not take hours. */
static void chains_of_claims_end(void **state)
{
    static char text[32768], once[sizeof text + 64], twice[sizeof text + 64];
    size_t      i, size;

    (void)state;
    for (i = 0; i < sizeof text; i++) text[i] = "impersonating "[i % 14];
    size = vit_scrub(once, sizeof once, text, sizeof text);
    assert_true(size < sizeof once);
    assert_int_equal(vit_scrub(twice, sizeof twice, once, size), size);
    assert_string_equal(twice, once);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaces_what_it_should),
        cmocka_unit_test(leaves_harmless_text),
        cmocka_unit_test(every_marker_stays),
        cmocka_unit_test(longer_tokens_stand_first),
        cmocka_unit_test(tables_fit_their_indexes),
        cmocka_unit_test(foreign_words_are_found),
        cmocka_unit_test(tokens_need_their_length),
        cmocka_unit_test(words_are_well_formed),
        cmocka_unit_test(cuts_between_characters_and_markers),
        cmocka_unit_test(writes_nothing_after_what_does_not_fit),
        cmocka_unit_test(public_call_takes_nothing),
        cmocka_unit_test(keeps_zero_bytes),
        cmocka_unit_test(keeps_invalid_utf8),
        cmocka_unit_test(replaces_known_values),
        cmocka_unit_test(takes_the_longest_value),
        cmocka_unit_test(knows_values_in_any_spelling),
        cmocka_unit_test(knows_escapes_in_secrets),
        cmocka_unit_test(scrubbing_twice_changes_nothing),
        cmocka_unit_test(what_goes_far_away_changes_nothing),
        cmocka_unit_test(hostile_text_is_only_slow_to_type),
        cmocka_unit_test(chains_of_claims_end),
    };

    encode_values();
    return cmocka_run_group_tests_name("scrub", tests, NULL, NULL);
}
