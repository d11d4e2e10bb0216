//! What a registry says about how to authenticate ([RFC 9110 §11.6.1], [token specification][token]).
//!
//! [RFC 9110 §11.6.1]: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
//! [token]: https://distribution.github.io/distribution/spec/auth/token/

use http_auth::parser::ChallengeParser;
use reqwest::Url;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// A challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Fetch a token there.
    Bearer { realm: Url, service: Option<String>, scope: Option<String> },
    /// Show user and password.
    Basic,
}

impl Challenge {
    /// The best challenge of an answer: a token, if that is offered, shows less than a password.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, String> {
        let mut basic = false;
        let mut other = Vec::new();
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let value = value.to_str().map_err(|_| "its challenge is not text".to_owned())?;
            for challenge in ChallengeParser::new(value) {
                let challenge = challenge.map_err(|_| "its challenge is malformed".to_owned())?;
                if challenge.scheme.eq_ignore_ascii_case("bearer") {
                    let find = |name: &str| {
                        let mut params = challenge.params.iter();
                        let found = params.find(|(key, _)| key.eq_ignore_ascii_case(name));
                        found
                            .map(|(_, value)| value.to_unescaped())
                            .filter(|value| !value.is_empty())
                    };
                    let realm = find("realm").ok_or("its challenge names no token endpoint")?;
                    let realm = Url::parse(&realm)
                        .map_err(|e| format!("its token endpoint {realm:?} is no address: {e}"))?;
                    return Ok(Self::Bearer {
                        realm,
                        service: find("service"),
                        scope: find("scope"),
                    });
                }
                basic |= challenge.scheme.eq_ignore_ascii_case("basic");
                other.push(challenge.scheme.to_owned());
            }
        }
        match (basic, other.is_empty()) {
            (true, _) => Ok(Self::Basic),
            (false, true) => Err("it does not say how".to_owned()),
            (false, false) => Err(format!("only by {}", other.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str], expect: Result<Challenge, &str>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().expect("a header"));
        }
        assert_eq!(Challenge::of(&headers), expect.map_err(str::to_owned), "{values:?}");
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.parse().expect("an address"),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }
    }

    #[test]
    fn a_token_is_preferred_to_a_password() {
        check(&["Basic realm=\"r\""], Ok(Challenge::Basic));
        check(&["basic"], Ok(Challenge::Basic));
        let token = "Bearer realm=\"https://auth.example.com/token\",service=\"s\",scope=\"repository:a:pull\"";
        let expect = bearer("https://auth.example.com/token", Some("s"), Some("repository:a:pull"));
        check(&[token], Ok(expect.clone()));
        check(&["Basic realm=\"r\"", token], Ok(expect.clone()));
        check(&["Negotiate, Basic realm=\"r\""], Ok(Challenge::Basic));
        check(
            &["BEARER Realm=\"https://a.example.com\""],
            Ok(bearer("https://a.example.com", None, None)),
        );
    }

    #[test]
    fn what_cannot_be_answered_is_told() {
        check(&[], Err("it does not say how"));
        check(&["Negotiate"], Err("only by Negotiate"));
        check(&["Bearer service=\"s\""], Err("its challenge names no token endpoint"));
        check(&["Bearer realm=\"\""], Err("its challenge names no token endpoint"));
        check(
            &["Bearer realm=\"/token\""],
            Err("its token endpoint \"/token\" is no address: relative URL without a base"),
        );
        check(&["Bearer realm=\"unterminated"], Err("its challenge is malformed"));
    }
}
