//! COSE keys as CBOR: the few parameters that a credential's public key has.

use super::{Algorithm, Key, KeyError, RSA_EXPONENT, RSA_MODULUS_LEN};
use minicbor::Decoder;
use minicbor::data::Type;

const KEY_TYPE: i64 = 1;
const ALGORITHM: i64 = 3;
const KEY_TYPE_EC2: i64 = 2;
const KEY_TYPE_RSA: i64 = 3;
/// Negative labels mean different things for different key types.
const CURVE_OR_MODULUS: i64 = -1;
const X_OR_EXPONENT: i64 = -2;
const Y: i64 = -3;
/// The tag that SEC 1 puts before an uncompressed point.
const UNCOMPRESSED: u8 = 4;

/// The parameters as they stand in the map, each at most once.
pub(super) struct Parameters<'a> {
    values: [(i64, Option<Parameter<'a>>); 5],
}

#[derive(Clone, Copy)]
enum Parameter<'a> {
    Integer(i64),
    Bytes(&'a [u8]),
}

impl<'a> Parameters<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, KeyError> {
        let labels = [KEY_TYPE, ALGORITHM, CURVE_OR_MODULUS, X_OR_EXPONENT, Y];
        let mut values = labels.map(|label| (label, None));
        let mut decoder = Decoder::new(bytes);
        let entries = decoder.map().ok().flatten().ok_or(KeyError::Cbor)?;
        for _ in 0..entries {
            let label = decoder.i64().map_err(|_| KeyError::Cbor)?;
            let (_, place) = values
                .iter_mut()
                .find(|(known, _)| *known == label)
                .ok_or(KeyError::Unexpected(label))?;
            if place.is_some() {
                return Err(KeyError::Duplicate(label));
            }
            *place = Some(value(&mut decoder).map_err(|_| KeyError::Cbor)?);
        }
        if decoder.position() != bytes.len() {
            return Err(KeyError::Cbor);
        }
        Ok(Self { values })
    }

    pub(super) fn into_key(self) -> Result<Key, KeyError> {
        match self.integer(ALGORITHM)? {
            -7 => {
                let point = self.point(Algorithm::Es256, 1, 32)?;
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point);
                key.map(Key::Es256)
                    .map_err(|_| KeyError::Point(Algorithm::Es256))
            }
            -35 => {
                let point = self.point(Algorithm::Es384, 2, 48)?;
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&point);
                key.map(Key::Es384)
                    .map_err(|_| KeyError::Point(Algorithm::Es384))
            }
            -257 => self.rsa(),
            other => Err(KeyError::Algorithm(other)),
        }
    }

    /// The point in SEC 1's uncompressed form.
    fn point(&self, algorithm: Algorithm, curve: i64, len: usize) -> Result<Vec<u8>, KeyError> {
        if self.integer(KEY_TYPE)? != KEY_TYPE_EC2 || self.integer(CURVE_OR_MODULUS)? != curve {
            return Err(KeyError::Mismatch(algorithm));
        }
        let (x, y) = (self.bytes(X_OR_EXPONENT)?, self.bytes(Y)?);
        if x.len() != len || y.len() != len {
            return Err(KeyError::Point(algorithm));
        }
        Ok([&[UNCOMPRESSED], x, y].concat())
    }

    fn rsa(&self) -> Result<Key, KeyError> {
        if self.integer(KEY_TYPE)? != KEY_TYPE_RSA {
            return Err(KeyError::Mismatch(Algorithm::Rs256));
        }
        if self.get(Y).is_some() {
            return Err(KeyError::Unexpected(Y));
        }
        let modulus = self.bytes(CURVE_OR_MODULUS)?;
        let high_bit = modulus.first().is_some_and(|byte| byte & 0x80 != 0);
        let odd = modulus.last().is_some_and(|byte| byte & 1 == 1);
        if !RSA_MODULUS_LEN.contains(&modulus.len()) || !high_bit || !odd {
            return Err(KeyError::Modulus);
        }
        if self.bytes(X_OR_EXPONENT)? != RSA_EXPONENT {
            return Err(KeyError::Exponent);
        }
        Ok(Key::Rs256 {
            modulus: modulus.to_vec(),
        })
    }

    fn get(&self, label: i64) -> Option<Parameter<'a>> {
        self.values
            .iter()
            .find(|(known, _)| *known == label)
            .and_then(|(_, value)| *value)
    }

    fn integer(&self, label: i64) -> Result<i64, KeyError> {
        match self.get(label) {
            Some(Parameter::Integer(value)) => Ok(value),
            _ => Err(KeyError::Missing(label)),
        }
    }

    fn bytes(&self, label: i64) -> Result<&'a [u8], KeyError> {
        match self.get(label) {
            Some(Parameter::Bytes(value)) => Ok(value),
            _ => Err(KeyError::Missing(label)),
        }
    }
}

fn value<'a>(decoder: &mut Decoder<'a>) -> Result<Parameter<'a>, minicbor::decode::Error> {
    if decoder.datatype()? == Type::Bytes {
        decoder.bytes().map(Parameter::Bytes)
    } else {
        decoder.i64().map(Parameter::Integer)
    }
}

/// The key in deterministic CBOR (RFC 8949, section 4.2.1), whose order of these labels is also
/// CTAP2's: with its algorithm as a credential's public key, without it as a thumbprint's input.
pub(super) fn write(key: &Key, with_algorithm: bool) -> Vec<u8> {
    let (key_type, rest) = match key {
        Key::Es256(key) => (
            KEY_TYPE_EC2,
            point_entries(1, key.to_sec1_point(false).as_bytes(), 32),
        ),
        Key::Es384(key) => (
            KEY_TYPE_EC2,
            point_entries(2, key.to_sec1_point(false).as_bytes(), 48),
        ),
        Key::Rs256 { modulus } => (
            KEY_TYPE_RSA,
            vec![
                (CURVE_OR_MODULUS, byte_string(modulus)),
                (X_OR_EXPONENT, byte_string(&RSA_EXPONENT)),
            ],
        ),
    };
    let algorithm = (ALGORITHM, integer(key.algorithm().cose_id()));
    let entries: Vec<_> = std::iter::once((KEY_TYPE, integer(key_type)))
        .chain(with_algorithm.then_some(algorithm))
        .chain(rest)
        .collect();
    let mut out = head(5, entries.len());
    for (label, value) in entries {
        out.extend(integer(label));
        out.extend(value);
    }
    out
}

/// Curve, x and y from an uncompressed point: its tag, then two coordinates.
fn point_entries(curve: i64, point: &[u8], len: usize) -> Vec<(i64, Vec<u8>)> {
    let coordinate = |skip| {
        point
            .iter()
            .skip(1 + skip)
            .take(len)
            .copied()
            .collect::<Vec<u8>>()
    };
    vec![
        (CURVE_OR_MODULUS, integer(curve)),
        (X_OR_EXPONENT, byte_string(&coordinate(0))),
        (Y, byte_string(&coordinate(len))),
    ]
}

fn integer(value: i64) -> Vec<u8> {
    // CBOR writes a negative n as the natural number -1 - n.
    let (major, magnitude) = if value < 0 { (1, !value) } else { (0, value) };
    head(major, usize::try_from(magnitude).unwrap_or(usize::MAX))
}

fn byte_string(bytes: &[u8]) -> Vec<u8> {
    let mut out = head(2, bytes.len());
    out.extend(bytes);
    out
}

/// The head of a CBOR item (RFC 8949, section 3) with the shortest form of its argument.
fn head(major: u8, argument: usize) -> Vec<u8> {
    let major = major << 5;
    match (u8::try_from(argument), u16::try_from(argument)) {
        (Ok(small @ 0..24), _) => vec![major | small],
        (Ok(byte), _) => vec![major | 24, byte],
        (_, Ok(two)) => [&[major | 25], two.to_be_bytes().as_slice()].concat(),
        _ => [&[major | 27], (argument as u64).to_be_bytes().as_slice()].concat(),
    }
}
