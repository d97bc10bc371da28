//! Which layers share their weights (ALBERT, Lan et al. 2020, section 3.1 and table 4).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which layers share their weights. Each sublayer's norm goes with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Sharing {
    /// Every layer has its own, as in BERT.
    #[default]
    None,
    /// One set for all layers, as in the released ALBERT.
    All,
    /// One attention for all layers.
    Attention,
    /// One feed-forward network for all layers.
    FeedForward,
    /// `groups:N` or `groups:NxINNER`: ALBERT's groups (`num_hidden_groups`), each a set of INNER
    /// layers (`inner_group_num`) that follow one another. Of n sets that run one after another,
    /// set i is that of group floor(i / n * groups).
    Groups {
        /// Distinct sets.
        groups: usize,
        /// Layers of a set.
        inner: usize,
    },
}

impl Sharing {
    /// The distinct (attention, feed-forward) sublayers that `layers` layers need.
    pub fn distinct(self, layers: usize) -> (usize, usize) {
        match self {
            Self::None => (layers, layers),
            Self::All => (1, 1),
            Self::Attention => (1, layers),
            Self::FeedForward => (layers, 1),
            Self::Groups { groups, inner } => (groups * inner, groups * inner),
        }
    }

    /// Which distinct (attention, feed-forward) sublayer `layer` of `layers` uses.
    pub fn of(self, layer: usize, layers: usize) -> (usize, usize) {
        if let Self::Groups { groups, inner } = self {
            let group = (layer / inner) * groups / (layers / inner);
            let distinct = group * inner + layer % inner;
            return (distinct, distinct);
        }
        let (attention, feed_forward) = self.distinct(layers);
        (layer * attention / layers, layer * feed_forward / layers)
    }
}

impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::All => f.write_str("all"),
            Self::Attention => f.write_str("attention"),
            Self::FeedForward => f.write_str("feed-forward"),
            Self::Groups { groups, inner: 1 } => write!(f, "groups:{groups}"),
            Self::Groups { groups, inner } => write!(f, "groups:{groups}x{inner}"),
        }
    }
}

impl FromStr for Sharing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "all" => Ok(Self::All),
            "attention" => Ok(Self::Attention),
            "feed-forward" => Ok(Self::FeedForward),
            _ => text.strip_prefix("groups:").and_then(groups).ok_or_else(|| {
                format!(
                    "no sharing `{text}`; known: none, all, attention, feed-forward, groups:N, \
                     groups:NxINNER"
                )
            }),
        }
    }
}

/// `2` or `2x3`.
fn groups(text: &str) -> Option<Sharing> {
    let (groups, inner) = text.split_once('x').unwrap_or((text, "1"));
    Some(Sharing::Groups { groups: groups.parse().ok()?, inner: inner.parse().ok()? })
}

impl TryFrom<String> for Sharing {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Sharing> for String {
    fn from(sharing: Sharing) -> Self {
        sharing.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_map_to_the_sets_they_share() {
        let map = |sharing: Sharing| (0..6).map(|i| sharing.of(i, 6)).collect::<Vec<_>>();
        assert_eq!(map(Sharing::None), (0..6).map(|i| (i, i)).collect::<Vec<_>>());
        assert_eq!(map(Sharing::All), vec![(0, 0); 6]);
        assert_eq!(map(Sharing::Attention), (0..6).map(|i| (0, i)).collect::<Vec<_>>());
        assert_eq!(map(Sharing::FeedForward), (0..6).map(|i| (i, 0)).collect::<Vec<_>>());
        let sets = |groups, inner| {
            map(Sharing::Groups { groups, inner }).iter().map(|m| m.0).collect::<Vec<_>>()
        };
        assert_eq!(sets(3, 1), [0, 0, 1, 1, 2, 2]);
        assert_eq!(sets(1, 2), [0, 1, 0, 1, 0, 1]);
        assert_eq!(sets(3, 2), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn names_are_read_back() {
        let groups = [1, 3].map(|inner| Sharing::Groups { groups: 4, inner });
        for sharing in [Sharing::None, Sharing::All, Sharing::Attention, Sharing::FeedForward]
            .into_iter()
            .chain(groups)
        {
            assert_eq!(sharing.to_string().parse(), Ok(sharing));
        }
        assert!("half".parse::<Sharing>().expect_err("unknown").contains("known: none"));
    }
}
