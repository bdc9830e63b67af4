# Start this node whenever this account logs on. No administrator is needed; -Remove takes it back.
param([switch]$Remove)
$ErrorActionPreference = 'Stop'
$name = 'fedscreen-node'
$root = Split-Path -Parent $PSScriptRoot
$shortcut = Join-Path ([Environment]::GetFolderPath('Startup')) 'fedscreen-node.lnk'

if ($Remove) {
    Unregister-ScheduledTask -TaskName $name -Confirm:$false -ErrorAction SilentlyContinue
    Remove-Item $shortcut -ErrorAction SilentlyContinue
    Write-Host 'fedscreen-node does not start by itself any more.'
    exit 0
}

$user = [Security.Principal.WindowsIdentity]::GetCurrent().Name
$escape = { param($text) [Security.SecurityElement]::Escape($text) }
$xml = Get-Content -Raw -Encoding UTF8 (Join-Path $PSScriptRoot 'task-at-logon.xml')
$xml = $xml.Replace('@ROOT@', (& $escape $root)).Replace('@USER@', (& $escape $user))
try {
    Register-ScheduledTask -TaskName $name -Xml $xml -Force | Out-Null
    Start-ScheduledTask -TaskName $name
    Write-Host "Task $name is registered for $user and runs."
}
catch {
    # Some schools forbid tasks: then a shortcut in the Startup folder does the same, with a window.
    $link = (New-Object -ComObject WScript.Shell).CreateShortcut($shortcut)
    $link.TargetPath = Join-Path $root 'node.cmd'
    $link.Arguments = 'run'
    $link.WorkingDirectory = $root
    $link.WindowStyle = 7
    $link.Save()
    Write-Host "Tasks are not allowed here. A shortcut was made instead: $shortcut"
}
