//! Texts between quotes, as Go reads them.

/// What stands between two such quotes, its escapes replaced (`strconv.Unquote`); `None` when Go would refuse it, or when what comes
/// out is no UTF-8.
pub fn unquoted(text: &str, quote: char) -> Option<String> {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let put = |out: &mut Vec<u8>, c: char| out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            if c == '\n' {
                return None;
            }
            put(&mut out, c);
            continue;
        }
        let escape = rest.chars().next()?;
        let digits = |from: usize, count: usize, radix: u32| {
            let digits = rest.get(from..from + count)?;
            let is_digits = digits.chars().all(|c| c.is_digit(radix));
            u32::from_str_radix(digits, radix).ok().filter(|_| is_digits)
        };
        let (written, code) = match escape {
            'a' => (1, 0x07),
            'b' => (1, 0x08),
            'f' => (1, 0x0c),
            'n' => (1, 0x0a),
            'r' => (1, 0x0d),
            't' => (1, 0x09),
            'v' => (1, 0x0b),
            c if c == '\\' || c == quote => (1, u32::from(escape)),
            'u' => (5, digits(1, 4, 16)?),
            'U' => (9, digits(1, 8, 16)?),
            // Bytes, which need not be characters one by one.
            'x' | '0'..='7' => {
                let (from, count, radix) = if escape == 'x' { (1, 2, 16) } else { (0, 3, 8) };
                out.push(u8::try_from(digits(from, count, radix)?).ok()?);
                rest = &rest[from + count..];
                continue;
            }
            _ => return None,
        };
        put(&mut out, char::from_u32(code)?);
        rest = &rest[written..];
    }
    String::from_utf8(out).ok()
}

/// Where a quoted text ends whose opening quote is gone: the byte of the quote that closes it.
pub fn closing(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    text.find(|c: char| {
        let is_end = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    })
}
