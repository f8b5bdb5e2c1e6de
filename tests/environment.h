/* environment.h: what the machine that tests says about consent is no matter of the tests. */

#ifndef TESTS_ENVIRONMENT_H
#define TESTS_ENVIRONMENT_H

#include <stdlib.h>

static __attribute__((unused)) void environment_forget(void)
{
    static const char *const names[] = { "DO_NOT_TRACK",
                                         "VI_NO_TELEMETRY",
                                         "VECTOR_INSPECTOR_TELEMETRY_OPTOUT",
                                         "VITELEMETRY_OPTOUT",
                                         "DOTNET_CLI_TELEMETRY_OPTOUT",
                                         "HOMEBREW_NO_ANALYTICS",
                                         "POWERSHELL_TELEMETRY_OPTOUT",
                                         "NEXT_TELEMETRY_DISABLED",
                                         "GATSBY_TELEMETRY_DISABLED",
                                         "AZURE_CORE_COLLECT_TELEMETRY",
                                         "SAM_CLI_TELEMETRY",
                                         "XDG_STATE_HOME",
                                         "XDG_CONFIG_HOME",
                                         "CI",
                                         "TF_BUILD",
                                         "GITHUB_ACTIONS",
                                         "GITLAB_CI",
                                         "APPVEYOR",
                                         "TRAVIS",
                                         "CIRCLECI",
                                         "BUILDKITE",
                                         "TEAMCITY_VERSION",
                                         "JB_SPACE_API_URL",
                                         "JENKINS_URL",
                                         "DRONE",
                                         "NETLIFY",
                                         "BITBUCKET_COMMIT",
                                         "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI",
                                         "bamboo_planKey",
                                         "TASK_ID",
                                         "RUN_ID",
                                         "PYTEST_CURRENT_TEST",
                                         "CODEBUILD_BUILD_ID",
                                         "BUILD_ID",
                                         "BUILD_URL",
                                         "PROJECT_ID" };
    size_t                   i;
    for (i = 0; i < sizeof names / sizeof names[0]; i++) unsetenv(names[i]);
}

#endif
