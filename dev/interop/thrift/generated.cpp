// The store in code that Apache Thrift's compiler generates for C++.
//
//   generated serve PORT TRANSPORT PROTOCOL   until it is killed
//   generated check PORT TRANSPORT PROTOCOL   makes every call over one connection
//   generated dead PORT TRANSPORT PROTOCOL    at a gateway whose upstream is down
//
// Ends with 0 if everything is as it should be, and says what is not.

#include <atomic>
#include <chrono>
#include <iostream>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>

#include <thrift/TApplicationException.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/server/TThreadedServer.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TServerSocket.h>
#include <thrift/transport/TSocket.h>

#include "Newer.h"
#include "Store.h"

using namespace apache::thrift;
using store::Item;
using store::Missing;

static void expect(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

static std::shared_ptr<transport::TTransportFactory> transports(const std::string& name) {
  if (name == "framed") return std::make_shared<transport::TFramedTransportFactory>();
  expect(name == "unframed", "no transport is called " + name);
  return std::make_shared<transport::TBufferedTransportFactory>();
}

static std::shared_ptr<protocol::TProtocolFactory> protocols(const std::string& name) {
  if (name == "compact") return std::make_shared<protocol::TCompactProtocolFactory>();
  expect(name == "binary" || name == "binary_old", "no protocol is called " + name);
  // Neither bounded nor strict in what it reads; what it writes may have a version.
  return std::make_shared<protocol::TBinaryProtocolFactory>(0, 0, false, name == "binary");
}

class Serving : public store::StoreIf {
 public:
  void ping() override {}
  void echo(Item& result, const Item& item) override { result = item; }
  void find(Item&, const std::string& name) override {
    Missing missing;
    missing.name = name;
    throw missing;
  }
  void note(const std::string&) override { ++notes_; }
  int32_t noted() override { return notes_; }

 private:
  std::atomic<int32_t> notes_{0};
};

static Item full() {
  Item item;
  item.name = "gl\u00fccklich \U0001f30a";
  item.count = std::numeric_limits<int32_t>::min();
  for (int turn = 0; turn < 5; ++turn) {
    for (int64_t price : {int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::max(),
                          std::numeric_limits<int64_t>::min()}) {
      item.prices.push_back(price);
    }
  }
  item.flags = {{"yes", true}, {"no", false}};
  item.codes = {std::numeric_limits<int16_t>::min(), 0, std::numeric_limits<int16_t>::max()};
  item.weight = -0.1;
  item.good = false;
  for (int byte = 0; byte < 256 * 40; ++byte) item.raw.push_back(static_cast<char>(byte % 256));
  item.level = -128;
  item.nested = {{{"a", {true, false}}, {"b", {}}}, {}};
  return item;
}

static void check(store::NewerClient& client) {
  client.ping();
  for (const Item& item : {full(), Item()}) {
    Item echoed;
    client.echo(echoed, item);
    expect(echoed == item, "what comes back is something else");
  }
  try {
    Item found;
    client.find(found, "x");
    expect(false, "nothing is missing");
  } catch (const Missing& missing) {
    expect(missing.name == "x", "something else is missing: " + missing.name);
  }
  const int32_t before = client.noted();
  client.note("once");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (client.noted() != before + 1) {
    expect(std::chrono::steady_clock::now() < deadline, "the one-way call did not arrive");
  }
  try {
    client.unheard_of();
    expect(false, "an unknown method is known");
  } catch (const TApplicationException& error) {
    expect(error.getType() == TApplicationException::UNKNOWN_METHOD, error.what());
  }
}

static void check_dead(store::NewerClient& client) {
  // Twice: the connection is not lost to it.
  for (int turn = 0; turn < 2; ++turn) {
    try {
      client.ping();
      expect(false, "somebody answers");
    } catch (const TApplicationException& error) {
      expect(error.getType() == TApplicationException::INTERNAL_ERROR, error.what());
    }
  }
}

static void run(const std::string& verb, int port, const std::string& transport,
                const std::string& protocol) {
  if (verb == "serve") {
    server::TThreadedServer(
        std::make_shared<store::StoreProcessor>(std::make_shared<Serving>()),
        std::make_shared<transport::TServerSocket>("127.0.0.1", port), transports(transport),
        protocols(protocol))
        .serve();
    return;
  }
  const auto socket = std::make_shared<transport::TSocket>("127.0.0.1", port);
  socket->setRecvTimeout(10'000);
  const auto way = transports(transport)->getTransport(socket);
  store::NewerClient client(protocols(protocol)->getProtocol(way));
  way->open();
  if (verb == "check") {
    check(client);
  } else {
    expect(verb == "dead", "no verb is called " + verb);
    check_dead(client);
  }
  way->close();
}

int main(int count, char** arguments) {
  try {
    expect(count == 5, "serve, check or dead, and PORT TRANSPORT PROTOCOL");
    run(arguments[1], std::stoi(arguments[2]), arguments[3], arguments[4]);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "generated: " << error.what() << '\n';
    return 1;
  }
}
