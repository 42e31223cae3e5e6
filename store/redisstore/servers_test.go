package redisstore_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/needed"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/storetest"
)

// server is a redis-server that the test started.
type server struct {
	port string
	cmd  *exec.Cmd
}

func (s server) addr() string { return "127.0.0.1:" + s.port }

// freePorts returns ports that were free a moment ago.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close() // after all are chosen, so that they differ
		_, port, err := net.SplitHostPort(l.Addr().String())
		require.NoError(t, err)
		ports = append(ports, port)
	}
	return ports
}

// start starts redis-server with args, and kills it when t ends.
func start(t *testing.T, port string, args ...string) server {
	t.Helper()
	binary := needed.Address(t, "WETOKEN_TEST_REDIS_SERVER", "redis-server", func(name string) error {
		_, err := exec.LookPath(name)
		return err
	})
	args = append(args, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir())
	cmd := exec.Command(binary, args...)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	s := server{port: port, cmd: cmd}
	c := redis.NewClient(&redis.Options{Addr: s.addr()})
	defer c.Close()
	retry(t, func() error { return c.Ping(t.Context()).Err() })
	return s
}

// retry calls do until it does not fail, for up to twenty seconds.
func retry(t *testing.T, what func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for begin := time.Now(); ; <-tick.C {
		err := what()
		if err == nil {
			return
		}
		if time.Since(begin) > 20*time.Second {
			require.NoError(t, err)
		}
	}
}

// diskless are the arguments of a server that does not write to disk.
var diskless = []string{"--save", "", "--appendonly", "no"}

func TestServerThatHangsCostsACallerOneAndAHalfSeconds(t *testing.T) {
	hung := start(t, freePorts(t, 1)[0], diskless...)
	s := open(t, "redis://"+hung.addr())
	require.NoError(t, s.Set(t.Context(), "k", []byte("v"), 0))
	require.NoError(t, hung.cmd.Process.Signal(syscall.SIGSTOP))
	t.Cleanup(func() { _ = hung.cmd.Process.Signal(syscall.SIGCONT) })

	const slack = time.Second // for a slow machine
	var wg sync.WaitGroup
	for i := range 60 { // more than the pool has connections
		wg.Go(func() {
			begin := time.Now()
			var err error
			switch i % 5 {
			case 0:
				_, _, err = s.Get(t.Context(), "k")
			case 1:
				err = s.Set(t.Context(), "k", []byte("w"), 0)
			case 2:
				_, err = s.Swap(t.Context(), "k", []byte("v"), []byte("w"), 0)
			case 3:
				err = s.Delete(t.Context(), "k")
			default:
				for _, err = range s.Keys(t.Context(), "") {
				}
			}
			if err == nil {
				t.Errorf("call %d: no error from a server that hangs", i)
			}
			if took := time.Since(begin); took > 1500*time.Millisecond+slack {
				t.Errorf("call %d took %v", i, took)
			}
		})
	}
	wg.Wait()

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, _, err := s.Get(ctx, "k")
	require.Error(t, err)
	require.Less(t, time.Since(begin), 100*time.Millisecond+slack, "ctx ends a command that is under way")

	require.NoError(t, hung.cmd.Process.Signal(syscall.SIGCONT))
	retry(t, func() error { return s.Set(t.Context(), "k", []byte("back"), 0) })
}

func TestServerThatIsDownIsAnErrorAtOnceAndUsedAgainWhenUp(t *testing.T) {
	port := freePorts(t, 1)[0]
	first := start(t, port, diskless...)
	s := open(t, "redis://"+first.addr())
	require.NoError(t, s.Set(t.Context(), "k", []byte("v"), 0))
	require.NoError(t, first.cmd.Process.Kill())
	_ = first.cmd.Wait()
	begin := time.Now()
	_, ok, err := s.Get(t.Context(), "k")
	require.Error(t, err, "never a miss")
	require.False(t, ok)
	require.Less(t, time.Since(begin), time.Second)
	start(t, port, diskless...)
	retry(t, func() error { return s.Set(t.Context(), "k", []byte("v"), 0) })
}

// cluster starts three masters that share the slots, and returns the URL of the cluster.
func cluster(t *testing.T) string {
	t.Helper()
	testform.NeedFull(t)
	ports := freePorts(t, 6)
	var nodes []*redis.Client
	var addrs []string
	for i := range 3 {
		n := start(t, ports[2*i], append(diskless, "--cluster-enabled", "yes", "--cluster-port", ports[2*i+1], "--cluster-config-file", "nodes.conf")...)
		c := redis.NewClient(&redis.Options{Addr: n.addr()})
		t.Cleanup(func() { c.Close() })
		require.NoError(t, c.Do(t.Context(), "cluster", "set-config-epoch", i+1).Err())
		require.NoError(t, c.ClusterAddSlotsRange(t.Context(), i*16384/3, (i+1)*16384/3-1).Err())
		nodes, addrs = append(nodes, c), append(addrs, n.addr())
	}
	for i := range 2 {
		require.NoError(t, nodes[2].Do(t.Context(), "cluster", "meet", "127.0.0.1", ports[2*i], ports[2*i+1]).Err())
	}
	for _, c := range nodes {
		retry(t, func() error {
			info, err := c.ClusterInfo(t.Context()).Result()
			if err == nil && (!strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3")) {
				err = fmt.Errorf("the cluster does not form:\n%s", info)
			}
			return err
		})
	}
	return "redis-cluster://" + strings.Join(addrs, ",")
}

func TestClusterIsAStore(t *testing.T) {
	url := cluster(t)
	storetest.Run(t, func(t *testing.T) store.Store { return withPrefix(t, url) })

	first, _, _ := strings.Cut(url, ",") // the client finds the others from one address
	s := withPrefix(t, first)
	for i := range 50 {
		require.NoError(t, s.Set(t.Context(), fmt.Sprint("k/", i), []byte("v"), time.Hour))
	}
	n := 0
	for _, err := range s.Keys(t.Context(), "k/") {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 50, n)
}

func TestClusterSlotThatMovesTakesItsKeysAlong(t *testing.T) {
	s := open(t, cluster(t))
	c := s.Client.(*redis.ClusterClient)
	require.NoError(t, s.Set(t.Context(), "k", []byte("v"), time.Hour))
	slot, err := c.ClusterKeySlot(t.Context(), "k").Result()
	require.NoError(t, err)
	from, err := c.MasterForKey(t.Context(), "k")
	require.NoError(t, err)
	var to *redis.Client
	var mu sync.Mutex
	require.NoError(t, c.ForEachMaster(t.Context(), func(_ context.Context, other *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		if other != from {
			to = other
		}
		return nil
	}))
	id := func(c *redis.Client) string {
		name, err := c.Do(t.Context(), "cluster", "myid").Text()
		require.NoError(t, err)
		return name
	}
	require.NoError(t, to.Do(t.Context(), "cluster", "setslot", slot, "importing", id(from)).Err())
	require.NoError(t, from.Do(t.Context(), "cluster", "setslot", slot, "migrating", id(to)).Err())
	host, port, err := net.SplitHostPort(to.Options().Addr)
	require.NoError(t, err)
	require.NoError(t, from.Migrate(t.Context(), host, port, "k", 0, 5*time.Second).Err())

	step := func(old, new string) {
		t.Helper()
		swapped, err := s.Swap(t.Context(), "k", []byte(old), []byte(new), -1)
		require.NoError(t, err)
		require.True(t, swapped)
		value, _, err := s.Get(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, new, string(value))
		n := 0
		for key, err := range s.Keys(t.Context(), "") {
			require.NoError(t, err)
			require.Equal(t, "k", key)
			n++
		}
		require.Equal(t, 1, n)
	}
	step("v", "while it moves") // the old node says ASK
	for _, node := range []*redis.Client{to, from} {
		require.NoError(t, node.Do(t.Context(), "cluster", "setslot", slot, "node", id(to)).Err())
	}
	step("while it moves", "after it moved") // the old node says MOVED
}

func TestSentinelsLeadToTheNewMaster(t *testing.T) {
	testform.NeedFull(t)
	ports := freePorts(t, 3)
	master := start(t, ports[0], diskless...)
	start(t, ports[1], append(diskless, "--replicaof", "127.0.0.1", ports[0])...)
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "sentinel monitor main 127.0.0.1 %s 1\n"+
		"sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n", ports[0]), 0o600))
	start(t, ports[2], config, "--sentinel")
	sentinel := redis.NewSentinelClient(&redis.Options{Addr: "127.0.0.1:" + ports[2]})
	defer sentinel.Close()
	retry(t, func() error {
		replicas, err := sentinel.Replicas(t.Context(), "main").Result()
		if err == nil && (len(replicas) == 0 || replicas[0]["master-link-status"] != "ok") {
			err = fmt.Errorf("the sentinel sees no replica: %v", replicas)
		}
		return err
	})

	s := withPrefix(t, "redis-sentinel://127.0.0.1:"+ports[2]+"/main/0")
	swapped, err := s.Swap(t.Context(), "before", nil, []byte("v"), 0)
	require.NoError(t, err)
	require.True(t, swapped)
	require.NoError(t, s.Client.Do(t.Context(), "wait", 1, 5000).Err(), "the replica has it")

	require.NoError(t, master.cmd.Process.Kill())
	_ = master.cmd.Wait()
	retry(t, func() error { return s.Set(t.Context(), "after", []byte("w"), 0) })
	value, ok, err := s.Get(t.Context(), "before")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "v", string(value))
}
