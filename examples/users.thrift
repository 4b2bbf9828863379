// What thrift.toml puts behind an HTTP route.

enum Level {
  GUEST = 0
  MEMBER = 1
}

struct User {
  1: required i64 id
  2: required string name
  3: Level level = Level.MEMBER
  4: optional binary picture
  5: map<i32, string> notes
}

exception NotFound {
  1: string name
}

service Users {
  User find(1: string name) throws (1: NotFound missing)
  i64 add(1: User user)
  oneway void forget(1: i64 id)
}
