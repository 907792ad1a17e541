package handshake

import "strconv"

// HTTPAnswer is a server's answer to a request that is plain HTTP: see
// [Request.WantsWebSocket]. The zero value is 200 without a body.
type HTTPAnswer struct {
	Status int                 // 200 to 599; 0 is 200
	Header map[string][]string // further fields; the default of Content-Type is plain text in UTF-8
	Body   []byte
}

// AppendHTTPAnswer appends the whole HTTP response for a to the request r, after which the
// connection is to be closed. The body is left out in the answer to a HEAD request and
// with the status 204, 205 or 304, which have none. If anything in a may not be sent it
// returns dst as it was and a [*FieldError].
func AppendHTTPAnswer(dst []byte, r *Request, a *HTTPAnswer) ([]byte, error) {
	status := a.Status
	if status == 0 {
		status = 200
	}
	if err := checkAnswer(status, a.Header); err != nil {
		return dst, err
	}
	body, length := a.Body, len(a.Body)
	switch status {
	case 204, 304:
		body, length = nil, -1
	case 205:
		body, length = nil, 0
	}
	contentType := plainText
	for name := range a.Header {
		if equalFold(name, fieldContentType) {
			contentType = ""
		}
	}
	if length <= 0 {
		contentType = ""
	}
	dst = appendAnswerHead(dst, status, a.Header, contentType, length)
	if r.Method == "HEAD" {
		return dst, nil
	}
	return append(dst, body...), nil
}

// checkAnswer returns an error and not a *FieldError, so that nil is nil.
func checkAnswer(status int, header map[string][]string) error {
	if status < 200 || status > 599 {
		return &FieldError{"status", strconv.Itoa(status) + " is not from 200 to 599"}
	}
	for _, name := range sortedNames(header) {
		if err := checkField(name, header[name]); err != nil {
			return err
		}
		if setByAnswer(name) {
			return &FieldError{name, "the server sets this field"}
		}
	}
	return nil
}
