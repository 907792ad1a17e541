package handshake

import "strconv"

// HTTPAnswer is the response to a request for plain HTTP, such as a health
// check; see [Request.WantsWebSocket]. The zero value is status 200 without a
// body.
type HTTPAnswer struct {
	Status int                 // default 200; 200 to 599
	Header map[string][]string // additional fields; default Content-Type: text/plain; charset=utf-8
	Body   []byte
}

// AppendHTTPAnswer appends the HTTP response of a to the request r. The
// response has Connection: close; close the connection after it. The body is
// omitted for a HEAD request and for status 204, 205 and 304. If a value of a
// cannot be sent, AppendHTTPAnswer returns dst unchanged and a [*FieldError].
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

// checkAnswer validates the fields of an HTTPAnswer. Its result type is error
// rather than *FieldError, so that a nil result is a nil error.
func checkAnswer(status int, header map[string][]string) error {
	if status < 200 || status > 599 {
		return &FieldError{"status", strconv.Itoa(status) + " is not in the range 200 to 599"}
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
