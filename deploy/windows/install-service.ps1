# What level L1 needs, as administrator: an account of the node's own, permissions, firewall rules, a task at start.
#
#   powershell -ExecutionPolicy Bypass -File windows\install-service.ps1 -CountyAddress 10.1.2.3 -CountyPort 50080
#
# With a proxy give the proxy's address and port. Run it again when one of them changes. remove-service.ps1 takes
# all of it back and leaves the records. Everything is shown before it is done; nothing is downloaded.
#Requires -RunAsAdministrator
param(
    [Parameter(Mandatory = $true)][ipaddress]$CountyAddress,
    [Parameter(Mandatory = $true)][ValidateRange(1, 65535)][int]$CountyPort,
    [ValidatePattern('^[A-Za-z0-9][A-Za-z0-9._-]{0,19}$')][string]$Account = 'fedscreen-node'
)
$ErrorActionPreference = 'Stop'
$root = Split-Path -Parent $PSScriptRoot
$python = Join-Path $root 'python'
$node = Join-Path $root 'node'
$rules = 'fedscreen-node'

if ($CountyAddress.AddressFamily -ne 'InterNetwork') {
    throw 'Give an IPv4 address: with another one no rule for the egress is made, and the node stays at L0.'
}

$settings = Join-Path $node 'node.toml'
if ((Test-Path $settings) -and -not (Select-String -Quiet -SimpleMatch "service_account = `"$Account`"" $settings)) {
    throw 'There is a node here already, and its key belongs to another account. Make a backup, use a new folder, restore.'
}

# 1. The account: no administrator, and no way to log on at the screen by accident (it is on no list).
Write-Host "Account $Account (choose a password; IT needs it for single commands, see READ-ME.txt)"
$password = Read-Host -AsSecureString 'Password'
if (Get-LocalUser -Name $Account -ErrorAction SilentlyContinue) {
    Set-LocalUser -Name $Account -Password $password
}
else {
    New-LocalUser -Name $Account -Password $password -PasswordNeverExpires -Description 'fedscreen node' | Out-Null
}

# The right to be started by a task, beside whoever has it already.
$sid = (New-Object Security.Principal.NTAccount $Account).Translate([Security.Principal.SecurityIdentifier]).Value
$policy = Join-Path $env:TEMP 'fedscreen-rights.inf'
$database = Join-Path $env:TEMP 'fedscreen-rights.sdb'
& secedit /export /areas USER_RIGHTS /cfg $policy | Out-Null
$rights = Get-Content $policy
if (-not ($rights -match "SeBatchLogonRight.*$sid")) {
    if ($rights -match '^SeBatchLogonRight') { $rights = $rights -replace '^SeBatchLogonRight = ', "SeBatchLogonRight = *$sid," }
    else { $rights = $rights -replace '^\[Privilege Rights\]', "[Privilege Rights]`r`nSeBatchLogonRight = *$sid" }
    Set-Content -Encoding Unicode $policy $rights
    & secedit /configure /db $database /cfg $policy /areas USER_RIGHTS | Out-Null
    if ($LASTEXITCODE -ne 0) { throw 'secedit has failed' }
}
Remove-Item $policy, $database -ErrorAction SilentlyContinue

# 2. Permissions: the program can be read and not changed by the account; the node's folder is its own alone.
New-Item -ItemType Directory -Force -Path $node | Out-Null
& icacls $root /inheritance:r /grant:r '*S-1-5-32-544:(OI)(CI)F' '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-545:(OI)(CI)RX' "${Account}:(OI)(CI)RX" | Out-Null
& icacls $node /inheritance:r /grant:r '*S-1-5-32-544:(OI)(CI)F' "${Account}:(OI)(CI)F" | Out-Null
if ($LASTEXITCODE -ne 0) { throw 'icacls has failed' }

# 3. The firewall: the vault reaches nothing, the egress one address and port. Block rules win over allow rules.
function Get-Neighbour([ipaddress]$address, [int]$step) {
    $bytes = $address.GetAddressBytes(); [Array]::Reverse($bytes)
    $bytes = [BitConverter]::GetBytes([uint32]([BitConverter]::ToUInt32($bytes, 0) + $step)); [Array]::Reverse($bytes)
    return ([ipaddress]$bytes).ToString()
}
$others = @("0.0.0.0-$(Get-Neighbour $CountyAddress -1)", "$(Get-Neighbour $CountyAddress 1)-255.255.255.255",
    '2000::/3', 'fc00::/7', 'fe80::/10')
$ports = @()
if ($CountyPort -gt 1) { $ports += "1-$($CountyPort - 1)" }
if ($CountyPort -lt 65535) { $ports += "$($CountyPort + 1)-65535" }
$vault = Join-Path $python 'fedscreen-vault.exe'
$egress = Join-Path $python 'fedscreen-egress.exe'
Remove-NetFirewallRule -Group $rules -ErrorAction SilentlyContinue
$block = @{ Group = $rules; Direction = 'Outbound'; Action = 'Block'; Profile = 'Any' }
New-NetFirewallRule @block -DisplayName 'fedscreen vault: nothing' -Program $vault | Out-Null
New-NetFirewallRule @block -DisplayName 'fedscreen egress: no other address' -Program $egress -RemoteAddress $others | Out-Null
New-NetFirewallRule @block -DisplayName 'fedscreen egress: no other port' -Program $egress -Protocol TCP -RemotePort $ports | Out-Null
New-NetFirewallRule @block -DisplayName 'fedscreen egress: no UDP' -Program $egress -Protocol UDP | Out-Null
Set-NetFirewallProfile -All -Enabled True

# 4. The task: at start, whether or not anybody logs on.
$escape = { param($text) [Security.SecurityElement]::Escape($text) }
$user = "$env:COMPUTERNAME\$Account"
$xml = Get-Content -Raw -Encoding UTF8 (Join-Path $PSScriptRoot 'task-at-start.xml')
$xml = $xml.Replace('@ROOT@', (& $escape $root)).Replace('@USER@', (& $escape $user))
$plain = (New-Object pscredential $user, $password).GetNetworkCredential().Password
Register-ScheduledTask -TaskName 'fedscreen-node' -Xml $xml -User $user -Password $plain -Force | Out-Null

Write-Host ''
Write-Host 'Done. What is left, in a window of that account:'
Write-Host "  runas /user:$user `"$root\node.cmd setup --service-account $Account --confinement-floor L1 FILE`""
Write-Host "  runas /user:$user `"$root\node.cmd doctor`"      it must say: vault L1, egress L1"
