package main_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	server "github.com/wetoken/wetoken/cmd/server"
)

// The fields of Kubernetes that the manifest uses, by their names there. Others are refused.
type (
	manifest struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   metadata
		Type       string
		Data       map[string]string
		StringData map[string]string `yaml:"stringData"`
		Spec       yaml.Node
	}
	metadata struct {
		Name   string
		Labels map[string]string
	}
	selector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
	deployment struct {
		Replicas int
		Strategy struct {
			Type          string
			RollingUpdate struct {
				MaxUnavailable int `yaml:"maxUnavailable"`
				MaxSurge       int `yaml:"maxSurge"`
			} `yaml:"rollingUpdate"`
		}
		Selector selector
		Template struct {
			Metadata metadata
			Spec     pod
		}
	}
	pod struct {
		AutomountServiceAccountToken  *bool `yaml:"automountServiceAccountToken"`
		EnableServiceLinks            *bool `yaml:"enableServiceLinks"`
		TerminationGracePeriodSeconds int   `yaml:"terminationGracePeriodSeconds"`
		SecurityContext               struct {
			RunAsNonRoot   bool              `yaml:"runAsNonRoot"`
			RunAsUser      int               `yaml:"runAsUser"`
			RunAsGroup     int               `yaml:"runAsGroup"`
			FSGroup        int               `yaml:"fsGroup"`
			SeccompProfile map[string]string `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		TopologySpreadConstraints []struct {
			MaxSkew           int      `yaml:"maxSkew"`
			TopologyKey       string   `yaml:"topologyKey"`
			WhenUnsatisfiable string   `yaml:"whenUnsatisfiable"`
			LabelSelector     selector `yaml:"labelSelector"`
		} `yaml:"topologySpreadConstraints"`
		InitContainers []container `yaml:"initContainers"`
		Containers     []container
		Volumes        []struct {
			Name      string
			ConfigMap struct{ Name string } `yaml:"configMap"`
			Secret    struct {
				SecretName  string `yaml:"secretName"`
				Optional    bool
				DefaultMode int `yaml:"defaultMode"`
			}
		}
	}
	container struct {
		Name, Image string
		Args        []string
		EnvFrom     []struct {
			SecretRef struct{ Name string } `yaml:"secretRef"`
		} `yaml:"envFrom"`
		Ports []struct {
			Name          string
			ContainerPort int `yaml:"containerPort"`
		}
		StartupProbe   *probe `yaml:"startupProbe"`
		ReadinessProbe *probe `yaml:"readinessProbe"`
		LivenessProbe  *probe `yaml:"livenessProbe"`
		Lifecycle      struct {
			PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
		}
		Resources    struct{ Requests, Limits map[string]string }
		VolumeMounts []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
			SubPath   string `yaml:"subPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
		SecurityContext struct {
			ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
			AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
			Capabilities             struct{ Drop []string }
		} `yaml:"securityContext"`
	}
	probe struct {
		HTTPGet          struct{ Path, Port string } `yaml:"httpGet"`
		PeriodSeconds    int                         `yaml:"periodSeconds"`
		TimeoutSeconds   int                         `yaml:"timeoutSeconds"`
		FailureThreshold int                         `yaml:"failureThreshold"`
	}
	kubeService struct {
		Selector map[string]string
		Ports    []struct {
			Name       string
			Port       int
			TargetPort string `yaml:"targetPort"`
		}
	}
)

// decodeStrictly decodes a document, and refuses fields that into lacks.
func decodeStrictly(t *testing.T, data []byte, into any) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	require.NoError(t, d.Decode(into))
	require.ErrorIs(t, d.Decode(new(yaml.Node)), io.EOF)
}

// specOf decodes the spec of a manifest.
func specOf[T any](t *testing.T, m manifest) (spec T) {
	t.Helper()
	text, err := yaml.Marshal(&m.Spec)
	require.NoError(t, err)
	decodeStrictly(t, text, &spec)
	return spec
}

// requireConfig requires that a configuration is right, and so are its examples in comments, with variables.
func requireConfig(t *testing.T, config string, variables ...string) {
	t.Helper()
	for _, text := range []string{config, regexp.MustCompile(`(?m)^# ((?:apps|merchants|public_url):| {2,})`).ReplaceAllString(config, "$1")} {
		for _, m := range regexp.MustCompile(`(?m)^[^#\n]*?\$\{(\w+)\}`).FindAllStringSubmatch(text, -1) {
			value := "redis://127.0.0.1:1/0#" + m[1]
			if !strings.HasSuffix(m[1], "_URL") {
				value = "a-value-of-this-test-" + m[1]
			}
			t.Setenv(m[1], value)
			if text == config {
				require.Contains(t, variables, m[1])
			}
		}
		c, err := server.ReadConfig(write(t, text))
		require.NoError(t, err)
		require.NoError(t, c.Check())
		require.Equal(t, text != config, c.HasPay())
	}
}

func TestTheKubernetesManifestFitsTheServer(t *testing.T) {
	all := make(map[string]manifest)
	for _, text := range strings.Split(deployed(t, "kubernetes.yaml"), "\n---\n") {
		var m manifest
		decodeStrictly(t, []byte(text), &m)
		all[m.Kind+" "+m.Metadata.Name] = m
	}
	require.Len(t, all, 6)
	secret := all["Secret wetoken"]
	var names []string
	for name, value := range secret.StringData {
		require.Empty(t, value, "%s: a value that works must not be public", name)
		names = append(names, name)
	}
	requireConfig(t, all["ConfigMap wetoken"].Data["wetoken.yaml"], names...)
	require.Contains(t, names, "WETOKEN_MASTER_KEYS")

	d := specOf[deployment](t, all["Deployment wetoken"])
	require.Equal(t, 2, d.Replicas)
	labels := d.Template.Metadata.Labels
	require.Equal(t, labels, d.Selector.MatchLabels)
	p := d.Template.Spec
	require.Contains(t, deployed(t, "Dockerfile"), "USER 65532:65532")
	require.True(t, p.SecurityContext.RunAsNonRoot)
	require.Equal(t, 65532, p.SecurityContext.RunAsUser)
	require.Greater(t, p.TerminationGracePeriodSeconds, 20+p.Containers[0].Lifecycle.PreStop.Sleep.Seconds, "the server drains for 20 s")
	volumes := make(map[string]bool)
	for _, v := range p.Volumes {
		volumes[v.Name] = v.ConfigMap.Name == "wetoken" || v.Secret.SecretName == "wetoken-certificates"
	}
	for _, c := range append(p.InitContainers, p.Containers...) {
		require.True(t, c.SecurityContext.ReadOnlyRootFilesystem)
		require.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
		require.Equal(t, "wetoken", c.EnvFrom[0].SecretRef.Name)
		for _, m := range c.VolumeMounts {
			require.True(t, volumes[m.Name], m.Name)
			require.True(t, m.ReadOnly)
		}
		require.Contains(t, c.Args, c.VolumeMounts[0].MountPath, "its configuration")
	}
	c := p.Containers[0]
	require.Equal(t, []string{"-public", ":8080", "-private", ":8081"}, c.Args[2:])
	require.Equal(t, []any{"public", 8080, "private", 8081}, []any{c.Ports[0].Name, c.Ports[0].ContainerPort, c.Ports[1].Name, c.Ports[1].ContainerPort})
	running := start(t, nil, "-demo")
	for path, probes := range map[string][]*probe{"/readyz": {c.StartupProbe}, "/healthz": {c.ReadinessProbe, c.LivenessProbe}} {
		require.Equal(t, 200, running.status(path))
		for _, probe := range probes {
			require.Equal(t, []any{path, "private"}, []any{probe.HTTPGet.Path, probe.HTTPGet.Port})
			require.NotZero(t, probe.PeriodSeconds*probe.FailureThreshold*probe.TimeoutSeconds)
		}
	}
	for name, port := range map[string]string{"wetoken-public": "public", "wetoken-private": "private"} {
		s := specOf[kubeService](t, all["Service "+name])
		require.Equal(t, labels, s.Selector)
		require.Equal(t, port, s.Ports[0].TargetPort)
	}
	budget := specOf[struct {
		MinAvailable int `yaml:"minAvailable"`
		Selector     selector
	}](t, all["PodDisruptionBudget wetoken"])
	require.Equal(t, labels, budget.Selector.MatchLabels)
}

func TestTheComposeFileFitsTheServer(t *testing.T) {
	type service struct {
		Image, User string
		Build       struct {
			Context, Dockerfile string
			Args                map[string]string
		}
		Command, Ports, Volumes []string
		EnvFile                 []string                              `yaml:"env_file"`
		ReadOnly                bool                                  `yaml:"read_only"`
		CapDrop                 []string                              `yaml:"cap_drop"`
		SecurityOpt             []string                              `yaml:"security_opt"`
		DependsOn               map[string]struct{ Condition string } `yaml:"depends_on"`
		Restart                 string
		StopGracePeriod         string `yaml:"stop_grace_period"`
		Healthcheck             struct {
			Test              []string
			Interval, Timeout string
			Retries           int
		}
	}
	var all struct {
		Services map[string]service
		Volumes  map[string]any
	}
	decodeStrictly(t, []byte(deployed(t, "compose.yaml")), &all)
	requireConfig(t, deployed(t, "wetoken.yaml"), "ADMIN_KEY")
	s := all.Services["wetoken"]
	require.Equal(t, []string{"8080:8080", "127.0.0.1:3310:3310", "127.0.0.1:8000:8000"}, s.Ports)
	require.Equal(t, []string{"-config", "/etc/wetoken/wetoken.yaml", "-public", ":8080", "-private", ":3310"}, s.Command)
	require.Contains(t, deployed(t, "wetoken.yaml"), "jsonrpc: :8000")
	require.Contains(t, deployed(t, "wetoken.yaml"), "redis://redis:6379")
	require.Contains(t, all.Services, "redis")
	require.True(t, s.ReadOnly)
	require.Contains(t, s.Volumes, "records:/var/lib/wetoken")
	require.Contains(t, all.Volumes, "records")
	for arg := range s.Build.Args {
		require.Contains(t, deployed(t, "Dockerfile"), "ARG "+arg+"=")
	}
	_, err := os.Stat(filepath.Join("..", "..", "deploy", s.Build.Context, s.Build.Dockerfile))
	require.NoError(t, err)
}
