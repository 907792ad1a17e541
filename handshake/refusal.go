package handshake

import "strconv"

// Error is a rejected handshake: the HTTP response of a server that does not
// accept a request. Applications create Errors too, for instance with status
// 401, 404 or 503.
type Error struct {
	Status int                 // 300 to 599, but not 304
	Reason string              // for logs, never sent; the peer's text is quoted
	Header map[string][]string // additional fields, such as WWW-Authenticate

	// NotWebSocket is set for a request without a field of the handshake, such
	// as a health check or a page load, and for TLS on a port for plain HTTP.
	NotWebSocket bool

	bodiless bool // response to HEAD
}

func (e *Error) Error() string {
	text := "websocket: handshake refused with " + strconv.Itoa(e.Status) + " " + statusText(e.Status)
	if e.Reason == "" {
		return text
	}
	return text + ": " + e.Reason
}

// HTTPStatus returns the status of the response: Status, or 500 if Status is
// out of range.
func (e *Error) HTTPStatus() int {
	if e == nil || e.Status < 300 || e.Status > 599 || e.Status == 304 {
		return 500
	}
	return e.Status
}

// AppendRefusal appends the HTTP response of e to dst and returns the extended
// slice. The response has Connection: close; close the connection after it. The
// status is [Error.HTTPStatus]. The body is [Error.Body], omitted for a HEAD
// request. Fields of e.Header that are invalid, or that AppendRefusal sets
// itself, are omitted. A nil e is status 500.
func AppendRefusal(dst []byte, e *Error) []byte {
	var extra map[string][]string
	if e != nil {
		extra = e.Header
	}
	body := e.Body()
	dst = appendAnswerHead(dst, e.HTTPStatus(), extra, plainText, len(body))
	if e != nil && e.bodiless {
		return dst
	}
	return append(dst, body...)
}

// Body returns the body of the response, one line of text. It depends only on
// the status and repeats neither the request nor e.Reason.
func (e *Error) Body() string {
	status := e.HTTPStatus()
	switch text := statusText(status); status {
	case 426:
		return text + ": this is a WebSocket endpoint\n"
	case 505: // names the supported protocol (RFC 9110, Section 15.6.6)
		return text + ": this is a WebSocket endpoint over HTTP/1.1\n"
	default:
		return text + "\n"
	}
}

const plainText = "text/plain; charset=utf-8"

// appendAnswerHead appends the head of a response with Connection: close.
// contentType is "" if extra has a Content-Type or the response has no body.
// length is the length of the body, or -1 if the status does not allow one.
// Invalid fields of extra are omitted.
func appendAnswerHead(dst []byte, status int, extra map[string][]string, contentType string, length int) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, statusText(status)...)
	dst = append(dst, "\r\n"...)

	names := sortedNames(extra)
	connection := "close"
	for _, name := range names {
		if equalFold(name, fieldUpgrade) {
			connection = "close, Upgrade" // RFC 9110, Section 7.8
		}
	}
	dst = appendField(dst, fieldConnection, connection)
	if contentType != "" {
		dst = appendField(dst, fieldContentType, contentType)
	}
	dst = appendField(dst, fieldContentTypeOptions, "nosniff")
	if length >= 0 {
		dst = appendField(dst, fieldContentLength, strconv.Itoa(length))
	}
	for _, name := range names {
		if !ValidToken(name) || setByAnswer(name) || contentType != "" && equalFold(name, fieldContentType) {
			continue
		}
		for _, value := range extra[name] {
			if ValidValue(value) {
				dst = appendField(dst, name, value)
			}
		}
	}
	return append(dst, "\r\n"...)
}

// setByAnswer reports whether appendAnswerHead sets the field, so that the
// caller cannot.
func setByAnswer(name string) bool {
	for _, own := range [...]string{fieldConnection, fieldContentTypeOptions, fieldContentLength, fieldTransferEncoding} {
		if equalFold(name, own) {
			return true
		}
	}
	return false
}

// statusText returns the reason phrase of a status code. It knows the codes
// that responses to a handshake and to plain HTTP use most.
func statusText(status int) string {
	switch status {
	case 200:
		return "OK"
	case 204:
		return "No Content"
	case 301:
		return "Moved Permanently"
	case 302:
		return "Found"
	case 303:
		return "See Other"
	case 307:
		return "Temporary Redirect"
	case 308:
		return "Permanent Redirect"
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 408:
		return "Request Timeout"
	case 410:
		return "Gone"
	case 414:
		return "URI Too Long"
	case 417:
		return "Expectation Failed"
	case 421:
		return "Misdirected Request"
	case 426:
		return "Upgrade Required"
	case 429:
		return "Too Many Requests"
	case 431:
		return "Request Header Fields Too Large"
	case 500:
		return "Internal Server Error"
	case 501:
		return "Not Implemented"
	case 502:
		return "Bad Gateway"
	case 503:
		return "Service Unavailable"
	case 504:
		return "Gateway Timeout"
	case 505:
		return "HTTP Version Not Supported"
	}
	if status < 300 {
		return "Success"
	}
	return "Handshake Refused"
}
