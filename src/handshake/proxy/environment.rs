//! Which proxy the environment names, by the conventions that command-line tools share.

use core::net::IpAddr;

use crate::handshake::url::WsUrl;

/// Returns what the variable that decides says, unless there is to be no proxy.
pub(super) fn proxy_for(url: &WsUrl, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let names: &[&str] = if url.is_secure() {
        &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        &["http_proxy", "all_proxy", "ALL_PROXY"]
    };
    let first = |names: &[&str]| names.iter().find_map(|name| variable(name));
    let proxy = first(names).filter(|proxy| !proxy.is_empty())?;
    let is_excluded = first(&["no_proxy", "NO_PROXY"]).is_some_and(|list| excludes(&list, url));
    (!is_excluded).then_some(proxy)
}

/// Whether a list of hosts contains the one of `url`.
fn excludes(list: &str, url: &WsUrl) -> bool {
    let host = url.server_name();
    list.split(|c: char| c == ',' || c.is_ascii_whitespace())
        .filter(|entry| !entry.is_empty())
        .any(|entry| entry == "*" || is_match(entry, host, url.port()))
}

/// Whether an entry of the list is about this host and port.
fn is_match(entry: &str, host: &str, port: u16) -> bool {
    let (entry, entry_port) = split_port(entry);
    if entry_port.is_some_and(|it| it != port.to_string()) {
        return false;
    }
    match host.parse::<IpAddr>() {
        Ok(address) => is_network_of(entry, address),
        Err(_) => is_domain_of(entry, host),
    }
}

/// Splits the port off an entry. An IPv6 address can have one only behind its bracket.
fn split_port(entry: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = entry.strip_prefix('[').and_then(|it| it.split_once(']')) {
        return (address, rest.strip_prefix(':'));
    }
    match entry.split_once(':') {
        Some((entry, port)) if !port.contains(':') => (entry, Some(port)),
        _ => (entry, None),
    }
}

/// Whether `host` is the domain `entry` or below it. `example.com` is not above `badexample.com`.
fn is_domain_of(entry: &str, host: &str) -> bool {
    let entry = entry.strip_prefix('*').unwrap_or(entry).trim_start_matches('.');
    let (entry, host) = (entry.trim_end_matches('.'), host.trim_end_matches('.'));
    let Some(start) = host.len().checked_sub(entry.len()) else { return false };
    let (above, end) = host.as_bytes().split_at(start);
    !entry.is_empty()
        && end.eq_ignore_ascii_case(entry.as_bytes())
        && matches!(above, [] | [.., b'.'])
}

/// Whether `address` is in a network such as `10.0.0.0/8`, or is the address `entry`.
fn is_network_of(entry: &str, address: IpAddr) -> bool {
    let (network, prefix_len) = match entry.split_once('/') {
        Some((network, len)) => (network, Some(len)),
        None => (entry, None),
    };
    let (difference, bits) = match (network.parse(), address) {
        (Ok(IpAddr::V4(a)), IpAddr::V4(b)) => (u128::from(a.to_bits() ^ b.to_bits()), 32),
        (Ok(IpAddr::V6(a)), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits(), 128_u32),
        _ => return false,
    };
    // The bits after the prefix do not count; without a prefix, all do.
    let ignored = prefix_len.map_or(Some(0), |len| bits.checked_sub(len.parse().ok()?));
    ignored.is_some_and(|ignored| difference.checked_shr(ignored).unwrap_or(0) == 0)
}
