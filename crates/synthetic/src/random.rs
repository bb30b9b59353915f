//! Seeded randomness: one generator, shares, and weighted choice. Nothing here reads the machine.

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and three multiplications a number, every seed is a good seed.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl SplitMix64 {
    /// The stream number `stream` of `seed`. Streams are independent, so what one event draws never shifts another.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(mix(mix(seed.wrapping_add(GOLDEN_GAMMA)) ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93)))
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN_GAMMA);
        mix(self.0)
    }

    /// From 0 to `below - 1`. The bias is `below` / 2^64.
    pub fn below(&mut self, below: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(below)) >> 64) as u64
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A probability as an integer threshold: hit when the upper 53 bits of a draw are below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u64);

impl Share {
    pub const NONE: Self = Self(0);

    /// `share` is from 0 to 1.
    pub fn new(share: f64) -> Self {
        Self((share * (1_u64 << 53) as f64) as u64)
    }

    pub fn holds(self, draw: u64) -> bool {
        draw >> 11 < self.0
    }

    /// Draws only where the answer is open.
    pub fn hit(self, random: &mut SplitMix64) -> bool {
        self != Self::NONE && self.holds(random.next_u64())
    }
}

/// Choice by weight from one draw, in constant time (A. J. Walker's alias method, built as by M. D. Vose, 1991).
#[derive(Clone, Debug)]
pub struct Choice {
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Of 2^32: how often the slot keeps its own index.
    keep: u64,
    alias: u32,
}

impl Choice {
    /// At least one weight; all positive and finite.
    pub fn new(weights: &[f64]) -> Self {
        let sum: f64 = weights.iter().sum();
        let mut scaled: Vec<f64> = weights.iter().map(|weight| weight * weights.len() as f64 / sum).collect();
        let mut slots: Vec<Slot> =
            (0..weights.len()).map(|index| Slot { keep: 1 << 32, alias: index as u32 }).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..scaled.len()).partition(|index| scaled[*index] < 1.0);
        while let (Some(poor), Some(rich)) = (small.pop(), large.pop()) {
            slots[poor] = Slot { keep: (scaled[poor] * (1_u64 << 32) as f64) as u64, alias: rich as u32 };
            scaled[rich] -= 1.0 - scaled[poor];
            if scaled[rich] < 1.0 { small.push(rich) } else { large.push(rich) }
        }
        Self { slots }
    }

    pub fn pick(&self, random: &mut SplitMix64) -> usize {
        let draw = random.next_u64();
        let index = (((draw >> 32) * self.slots.len() as u64) >> 32) as usize;
        let slot = self.slots[index];
        if (draw & 0xffff_ffff) < slot.keep { index } else { slot.alias as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of the reference implementation (`splitmix64.c` of S. Vigna) for the state 1234567.
    #[test]
    fn splitmix_is_the_published_one() {
        let mut random = SplitMix64(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn choice_follows_its_weights() {
        let weights = [5.0, 1.0, 0.5, 3.0, 0.5];
        let choice = Choice::new(&weights);
        let mut random = SplitMix64::new(1, 2);
        let mut counts = [0_u32; 5];
        for _ in 0..100_000 {
            counts[choice.pick(&mut random)] += 1;
        }
        for (count, weight) in counts.iter().zip(weights) {
            assert!((f64::from(*count) - weight * 10_000.0).abs() < 500.0, "{counts:?}");
        }
    }

    #[test]
    fn shares_are_kept_and_their_ends_are_exact() {
        let mut random = SplitMix64::new(3, 0);
        for (share, expected) in [(0.0, 0_i32), (0.25, 25_000), (1.0, 100_000)] {
            let hits = (0..100_000).filter(|_| Share::new(share).hit(&mut random)).count() as i32;
            assert!((hits - expected).abs() <= if share == 0.25 { 600 } else { 0 }, "{share}: {hits}");
        }
    }
}
