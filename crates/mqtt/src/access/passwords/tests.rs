#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt as _;

use super::edit::{EditError, Edited};
use super::*;
use crate::codec::Text;

fn problem(text: &str) -> (usize, LineError) {
    match PasswordFile::parse(text) {
        Err(PasswordFileError::Line { line, problem }) => (line, problem),
        other => panic!("a line is wrong, not {other:?}"),
    }
}

#[test]
fn a_wrong_line_is_named_and_no_user_is_taken_from_the_file() {
    let hash = Secret::hash(b"x").unwrap();
    let text = format!("# users\n\nann:{hash}\n");
    assert!(PasswordFile::parse(&text).unwrap().contains("ann"));
    assert_eq!(problem(&format!("{text}bob\n")), (4, LineError::Form));
    assert_eq!(problem(&format!("{text}:{hash}\n")), (4, LineError::Name));
    assert_eq!(
        problem(&format!("{text}bob:secret\n")),
        (4, LineError::Secret(SecretError::Kind))
    );
    assert_eq!(
        problem("bob:$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ\n"),
        (1, LineError::Secret(SecretError::Hash))
    );
    let dear = hash.to_string().replace("m=19456", "m=9999999");
    assert_eq!(
        problem(&format!("bob:{dear}\n")),
        (1, LineError::Secret(SecretError::Cost))
    );
    assert_eq!(
        problem(&format!("{text}ann:{hash}\n")),
        (4, LineError::Repeated)
    );
}

#[test]
fn an_edit_leaves_the_other_lines_and_shows_the_file_to_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("passwords");
    let (one, other) = (Secret::hash(b"1").unwrap(), Secret::hash(b"2").unwrap());
    let scram = Secret::Scram(ScramSecret::new(b"3").unwrap());
    assert_eq!(edit::set(&path, "ann", &one).unwrap(), Edited::Added);
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    std::fs::write(&path, format!("# ours\nann:{one}\n\nbob:{one}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(edit::set(&path, "ann", &other).unwrap(), Edited::Changed);
    assert_eq!(edit::set(&path, "ann", &scram).unwrap(), Edited::Changed);
    assert_eq!(mode(), 0o600);
    let text = || std::fs::read_to_string(&path).unwrap();
    let after = format!("# ours\nann:{other}\n\nbob:{one}\nann:{scram}\n");
    assert_eq!(text(), after);
    assert!(matches!(
        edit::delete(&path, "cid"),
        Err(EditError::Missing)
    ));
    assert!(matches!(
        edit::set(&path, "a:b", &one),
        Err(EditError::Name)
    ));
    assert_eq!(text(), after);
    edit::delete(&path, "ann").unwrap();
    assert_eq!(text(), format!("# ours\n\nbob:{one}\n"));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

fn by(user: &str, password: &'static str) -> Credentials {
    Credentials {
        user: Some(Text::copy_from(user).unwrap()),
        password: Some(password.into()),
        ..Credentials::default()
    }
}

#[tokio::test]
async fn the_right_password_of_the_right_user_comes_in_and_no_other() {
    let text = format!(
        "ann:{}\nbob:{}\n",
        Secret::hash(b"apple").unwrap(),
        Secret::Scram(ScramSecret::new(b"pear").unwrap())
    );
    let file = Arc::new(PasswordFile::parse(&text).unwrap());
    let proof = PasswordProof::new(file, Arc::new(PasswordPool::start().unwrap()));
    let refused = Verdict::Refused(ReasonCode::BadUserNameOrPassword);
    // Twice: what is remembered of the first must not let others in.
    for _ in 0..2 {
        for (user, password) in [("ann", "apple"), ("bob", "pear")] {
            match proof.check(&by(user, password)).await {
                Verdict::Accepted(identity) => assert_eq!(identity.user.as_deref(), Some(user)),
                other => panic!("{user}: {other:?}"),
            }
        }
        assert_eq!(proof.check(&by("ann", "pear")).await, refused);
        assert_eq!(proof.check(&by("bob", "apple")).await, refused);
        assert_eq!(proof.check(&by("ann", "")).await, refused);
        assert_eq!(proof.check(&by("cid", "apple")).await, Verdict::Unknown);
        let nobody = Credentials::default();
        assert_eq!(proof.check(&nobody).await, Verdict::Unknown);
    }
}

#[tokio::test]
async fn a_flood_of_passwords_is_refused_beyond_its_limit() {
    let pool = PasswordPool::start().unwrap();
    let secret = Arc::new(Secret::hash(b"x").unwrap());
    let mut waiting: Vec<_> = (0..pool::WAITING_MAX + pool::THREADS + 1)
        .map(|_| Box::pin(pool.verify(&secret, "y".into())))
        .collect();
    let mut answers = Vec::new();
    // All ask before the first could have been answered often enough to make room.
    for asking in &mut waiting {
        let answer = poll_once(asking.as_mut()).await;
        answers.extend(answer);
    }
    assert!(answers.contains(&Err(PoolError::Busy)), "{answers:?}");
}

/// Polls once.
async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
