package conform

// utf8Sequences are 6.5 to 6.23: the id, "ok" or the fault, and the octets of a
// text message in one frame. "bad@n": the octet n is invalid after the octets
// before it. "cut@n": the message ends inside a code point, after n octets of
// payload.
const utf8Sequences = `
6.5 some valid sequences
6.5.1 ok 68656c6c6f24776f726c64
6.5.2 ok 68656c6c6fc2a2776f726c64
6.5.3 ok 68656c6c6fe282ac776f726c64
6.5.4 ok 68656c6c6ff0a4ada2776f726c64
6.5.5 ok cebae1bdb9cf83cebcceb5

6.6 prefixes of κ
6.6.1 cut@1 ce
6.6.2 ok ceba
6.6.3 cut@3 cebae1
6.6.4 cut@4 cebae1bd
6.6.5 ok cebae1bdb9
6.6.6 cut@6 cebae1bdb9cf
6.6.7 ok cebae1bdb9cf83
6.6.8 cut@8 cebae1bdb9cf83ce
6.6.9 ok cebae1bdb9cf83cebc
6.6.10 cut@10 cebae1bdb9cf83cebcce
6.6.11 ok cebae1bdb9cf83cebcceb5

6.7 first of each length
6.7.1 ok 00
6.7.2 ok c280
6.7.3 ok e0a080
6.7.4 ok f0908080

6.8 first of length 5/6
6.8.1 bad@0 f888808080
6.8.2 bad@0 fc8480808080

6.9 last of each length
6.9.1 ok 7f
6.9.2 ok dfbf
6.9.3 ok efbfbf
6.9.4 ok f48fbfbf

6.10 last of length 4/5/6
6.10.1 bad@0 f7bfbfbf
6.10.2 bad@0 fbbfbfbfbf
6.10.3 bad@0 fdbfbfbfbfbf

6.11 boundaries
6.11.1 ok ed9fbf
6.11.2 ok ee8080
6.11.3 ok efbfbd
6.11.4 ok f48fbfbf
6.11.5 bad@1 f4908080

6.12 stray continuation bytes
6.12.1 bad@0 80
6.12.2 bad@0 bf
6.12.3 bad@0 80bf
6.12.4 bad@0 80bf80
6.12.5 bad@0 80bf80bf
6.12.6 bad@0 80bf80bf80
6.12.7 bad@0 80bf80bf80bf
6.12.8 bad@0 808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbe

6.13 lonely lead bytes, each followed by 20
6.13.1 bad@0 c020c120c220c320c420c520c620c720c820c920ca20cb20cc20cd20ce20cf20d020d120d220d320d420d520d620d720d820d920da20db20dc20dd20de20
6.13.2 bad@1 e020e120e220e320e420e520e620e720e820e920ea20eb20ec20ed20ee20
6.13.3 bad@1 f020f120f220f320f420f520f620
6.13.4 bad@0 f820f920fa20
6.13.5 bad@0 fc20

6.14 last continuation missing
6.14.1 bad@0 c0
6.14.2 bad@1 e080
6.14.3 bad@1 f08080
6.14.4 bad@0 f8808080
6.14.5 bad@0 fc80808080
6.14.6 cut@1 df
6.14.7 cut@2 efbf
6.14.8 bad@0 f7bfbf
6.14.9 bad@0 fbbfbfbf
6.14.10 bad@0 fdbfbfbfbf

6.15 all of 6.14 concatenated
6.15.1 bad@0 c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf

6.16 impossible bytes
6.16.1 bad@0 fe
6.16.2 bad@0 ff
6.16.3 bad@0 fefeffff

6.17 overlong "/"
6.17.1 bad@0 c0af
6.17.2 bad@1 e080af
6.17.3 bad@1 f08080af
6.17.4 bad@0 f8808080af
6.17.5 bad@0 fc80808080af

6.18 largest overlong
6.18.1 bad@0 c1bf
6.18.2 bad@1 e09fbf
6.18.3 bad@1 f08fbfbf
6.18.4 bad@0 f887bfbfbf
6.18.5 bad@0 fc83bfbfbfbf

6.19 overlong NUL
6.19.1 bad@0 c080
6.19.2 bad@1 e08080
6.19.3 bad@1 f0808080
6.19.4 bad@0 f880808080
6.19.5 bad@0 fc8080808080

6.20 single surrogates
6.20.1 bad@1 eda080
6.20.2 bad@1 edadbf
6.20.3 bad@1 edae80
6.20.4 bad@1 edafbf
6.20.5 bad@1 edb080
6.20.6 bad@1 edbe80
6.20.7 bad@1 edbfbf

6.21 surrogate pairs
6.21.1 bad@1 eda080edb080
6.21.2 bad@1 eda080edbfbf
6.21.3 bad@1 edadbfedb080
6.21.4 bad@1 edadbfedbfbf
6.21.5 bad@1 edae80edb080
6.21.6 bad@1 edae80edbfbf
6.21.7 bad@1 edafbfedb080
6.21.8 bad@1 edafbfedbfbf

6.22 non-characters (valid UTF-8)
6.22.1 ok efbfbe
6.22.2 ok efbfbf
6.22.3 ok f09fbfbe
6.22.4 ok f09fbfbf
6.22.5 ok f0afbfbe
6.22.6 ok f0afbfbf
6.22.7 ok f0bfbfbe
6.22.8 ok f0bfbfbf
6.22.9 ok f18fbfbe
6.22.10 ok f18fbfbf
6.22.11 ok f19fbfbe
6.22.12 ok f19fbfbf
6.22.13 ok f1afbfbe
6.22.14 ok f1afbfbf
6.22.15 ok f1bfbfbe
6.22.16 ok f1bfbfbf
6.22.17 ok f28fbfbe
6.22.18 ok f28fbfbf
6.22.19 ok f29fbfbe
6.22.20 ok f29fbfbf
6.22.21 ok f2afbfbe
6.22.22 ok f2afbfbf
6.22.23 ok f2bfbfbe
6.22.24 ok f2bfbfbf
6.22.25 ok f38fbfbe
6.22.26 ok f38fbfbf
6.22.27 ok f39fbfbe
6.22.28 ok f39fbfbf
6.22.29 ok f3afbfbe
6.22.30 ok f3afbfbf
6.22.31 ok f3bfbfbe
6.22.32 ok f3bfbfbf
6.22.33 ok f48fbfbe
6.22.34 ok f48fbfbf

6.23 specials block (valid)
6.23.1 ok efbfb9
6.23.2 ok efbfba
6.23.3 ok efbfbb
6.23.4 ok efbfbc
6.23.5 ok efbfbd
6.23.6 ok efbfbe
6.23.7 ok efbfbf
`
