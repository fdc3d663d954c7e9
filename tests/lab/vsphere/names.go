package main

import "strings"

// stored is a name as a vCenter keeps it: a slash, a backslash and a percent sign are escaped, the last unless it
// begins an escape already.
func stored(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '/':
			b.WriteString("%2f")
		case c == '\\':
			b.WriteString("%5c")
		case c == '%' && !escape(name[i:]):
			b.WriteString("%25")
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func escape(text string) bool {
	if len(text) < 3 {
		return false
	}
	switch strings.ToLower(text[:3]) {
	case "%2f", "%5c", "%25":
		return true
	}
	return false
}
